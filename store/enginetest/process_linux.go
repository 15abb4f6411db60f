// SPDX-License-Identifier: Apache-2.0

package enginetest

import "syscall"

// endWithUs has the kernel end the server when the test is killed and cannot.
func endWithUs(attr *syscall.SysProcAttr) { attr.Pdeathsig = syscall.SIGKILL }
