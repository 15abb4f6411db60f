// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"strings"
)

// standard is one document, with what its file in standards says of it.
type standard struct {
	name, title, url string
	texts            []text
	elsewhere        []elsewhere
	departures       []departure
}

// text is a requirement that the code implements.
type text struct {
	key
	more, text string
}

// elsewhere is a requirement that another party fulfils.
type elsewhere struct{ section, text, party string }

// departure says where and why the code does not do as the standard has it.
type departure struct{ section, text string }

// page is the name of the file about the standard.
func (s standard) page() string {
	return strings.NewReplacer(" ", "-", "rfc ", "rfc").Replace(strings.ToLower(s.name)) + ".md"
}

var (
	heading = regexp.MustCompile(`^(` + names + `) \| ([^|]+) \| (https://\S+)$`)
	states  = regexp.MustCompile(`^(§\S+?)((?:, §\S+?)*)(?: \(([^()]+)\))?: (.+)$`)
	party   = regexp.MustCompile(`^elsewhere (§\S+): (.+) \| (.+)$`)
	departs = regexp.MustCompile(`^departs (§\S+): (.+)$`)
)

// readStandards reads the files of tools/conformance/standards, one a standard.
func readStandards(dir fs.FS) ([]standard, error) {
	files, err := fs.Glob(dir, "*.txt")
	if err == nil && len(files) == 0 {
		err = errors.New("tools/conformance/standards: no files")
	}
	errs := []error{err}
	var standards []standard
	for _, file := range files {
		source, err := fs.ReadFile(dir, file)
		if err != nil {
			return nil, err
		}
		s, err := readStandard(string(source))
		if err == nil && strings.TrimSuffix(s.page(), ".md") != strings.TrimSuffix(file, ".txt") {
			err = fmt.Errorf("1: %s belongs in %s", s.name, strings.TrimSuffix(s.page(), ".md")+".txt")
		}
		if err != nil {
			for line := range strings.Lines(err.Error()) {
				errs = append(errs, fmt.Errorf("tools/conformance/standards/%s:%s", file, strings.TrimSpace(line)))
			}
		}
		standards = append(standards, s)
	}
	slices.SortFunc(standards, func(a, b standard) int {
		// The RFCs first, which are most of them.
		return cmp.Or(cmp.Compare(prefix(b), prefix(a)), compareSections(a.name, b.name))
	})
	return standards, errors.Join(errs...)
}

func prefix(s standard) int {
	if strings.HasPrefix(s.name, "RFC ") {
		return 1
	}
	return 0
}

// readStandard reads a head line NAME | TITLE | URL, then requirements:
//
//	§SECTION (LABEL): TEXT                 that the code implements
//	elsewhere §SECTION: TEXT | PARTY       that another party fulfils
//	departs §SECTION: TEXT                 what is done instead, and why
func readStandard(source string) (standard, error) {
	var (
		s      standard
		errs   []error
		number int
	)
	seen := make(map[key]bool)
	for line := range strings.Lines(source) {
		number++
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if s.name == "" {
			m := heading.FindStringSubmatch(line)
			if m == nil {
				return s, fmt.Errorf("%d: want NAME | TITLE | URL", number)
			}
			s.name, s.title, s.url = m[1], m[2], m[3]
			continue
		}
		if m := party.FindStringSubmatch(line); m != nil {
			s.elsewhere = append(s.elsewhere, elsewhere{m[1], m[2], m[3]})
		} else if m := departs.FindStringSubmatch(line); m != nil {
			s.departures = append(s.departures, departure{m[1], m[2]})
		} else if m := states.FindStringSubmatch(line); m != nil {
			k := key{s.name, m[1], m[3]}
			if seen[k] {
				errs = append(errs, fmt.Errorf("%d: %s a second time; give each a label", number, k))
			}
			seen[k] = true
			s.texts = append(s.texts, text{k, strings.TrimPrefix(m[2], ", "), m[4]})
		} else {
			errs = append(errs, fmt.Errorf("%d: neither a requirement, nor elsewhere, nor departs", number))
		}
	}
	if s.name == "" {
		errs = append(errs, errors.New("1: empty"))
	}
	return s, errors.Join(errs...)
}
