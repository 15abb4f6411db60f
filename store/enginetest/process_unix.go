// SPDX-License-Identifier: Apache-2.0

//go:build unix

package enginetest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"strconv"
	"strings"
	"syscall"
)

const supported = true

// account is the operating system account that runs a server: that of the test,
// or an unprivileged one where the test runs as root, which PostgreSQL refuses.
type account struct {
	other    bool
	uid, gid int
}

// unprivileged returns the first of the named accounts that exists, or the
// account of the test where that is not root.
func unprivileged(names ...string) (account, error) {
	if os.Geteuid() != 0 {
		return account{}, nil
	}
	for _, name := range names {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err := strconv.Atoi(u.Uid)
		if err != nil {
			continue
		}
		gid, err := strconv.Atoi(u.Gid)
		if err != nil {
			continue
		}
		return account{other: true, uid: uid, gid: gid}, nil
	}
	return account{}, fmt.Errorf("none of the accounts %s exists", strings.Join(names, ", "))
}

func (a account) own(path string) error {
	if !a.other {
		return nil
	}
	return os.Chown(path, a.uid, a.gid)
}

func (a account) attributes() *syscall.SysProcAttr {
	attr := &syscall.SysProcAttr{Setpgid: true}
	if a.other {
		attr.Credential = &syscall.Credential{Uid: uint32(a.uid), Gid: uint32(a.gid)}
	}
	killWithParent(attr)
	return attr
}

// killTree kills a process and its descendants: the backends of PostgreSQL are in
// process groups of their own. It stops the process first, so that it does not fork
// after the look at the descendants: such an orphan could wait forever for a lock in
// the shared memory of the killed server, which does not start again as long as the
// orphan is attached to it.
func killTree(pid int) error {
	if err := syscall.Kill(pid, syscall.SIGSTOP); errors.Is(err, syscall.ESRCH) {
		return nil
	} else if err != nil {
		return err
	}
	children := make(map[int][]int)
	out, err := exec.Command("ps", "-A", "-o", "pid=,ppid=").Output()
	for line := range strings.Lines(string(out)) {
		var child, parent int
		if _, err := fmt.Sscan(line, &child, &parent); err == nil {
			children[parent] = append(children[parent], child)
		}
	}
	var end func(int)
	end = func(pid int) {
		_ = syscall.Kill(pid, syscall.SIGKILL) // the process may have ended already
		for _, child := range children[pid] {
			end(child)
		}
	}
	end(pid)
	return err
}
