// SPDX-License-Identifier: Apache-2.0

package enginetest

import "syscall"

// killWithParent makes the kernel kill the server when the test process dies, in
// which case no cleanup runs.
func killWithParent(attr *syscall.SysProcAttr) { attr.Pdeathsig = syscall.SIGKILL }
