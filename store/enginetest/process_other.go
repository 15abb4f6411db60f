// SPDX-License-Identifier: Apache-2.0

//go:build !unix

package enginetest

import (
	"errors"
	"os"
	"syscall"
)

const supported = false

type account struct{}

func unprivileged(...string) (account, error) {
	return account{}, errors.New("this operating system is not supported")
}

func (account) own(string) error { return nil }

func (account) attributes() *syscall.SysProcAttr { return nil }

func killTree(pid int) error {
	p, err := os.FindProcess(pid)
	if err != nil {
		return err
	}
	return p.Kill()
}
