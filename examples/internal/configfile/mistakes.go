// SPDX-License-Identifier: Apache-2.0

package configfile

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
)

// Rename puts the names that the file has into an error in which the library
// names its own. They are given in pairs: from, to.
func Rename(err error, names ...string) error {
	if err == nil {
		return nil
	}
	return errors.New(strings.NewReplacer(names...).Replace(err.Error()))
}

// Join makes one error of what several have found, with a line for each mistake
// that begins with the field. Where one has found something about a field, those
// behind it have nothing to add: it is the same, or follows from it.
func Join(errs ...error) error {
	var lines []string
	told := make(map[string]bool)
	for _, err := range errs {
		if err == nil {
			continue
		}
		begun := len(lines)
		for line := range strings.SplitSeq(err.Error(), "\n") {
			if !told[fieldOf(line)] {
				lines = append(lines, line)
			}
		}
		for _, line := range lines[begun:] {
			told[fieldOf(line)] = true
		}
	}
	if len(lines) == 0 {
		return nil
	}
	return errors.New(strings.Join(lines, "\n"))
}

func fieldOf(line string) string {
	field, _, _ := strings.Cut(line, ": ")
	return field
}

// CheckAddr returns what is wrong with an address to listen on.
func CheckAddr(addr string) error {
	if addr == "" {
		return errors.New("required")
	}
	_, port, err := net.SplitHostPort(addr)
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	if err != nil {
		return fmt.Errorf(`%q is not host:port, such as "127.0.0.1:8080"`, addr)
	}
	return nil
}
