// SPDX-License-Identifier: Apache-2.0

//go:build unix && !linux

package enginetest

import "syscall"

func killWithParent(*syscall.SysProcAttr) {}
