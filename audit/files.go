// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// openFile opens a file of a log for reading.
func openFile(path string) (*os.File, error) {
	return os.Open(path) //nolint:gosec // the application names its log
}

// rotated returns the name of a full file of records, whose first one has the
// number first.
func rotated(path string, first int64) string { return fmt.Sprintf("%s.%019d", path, first) }

// recordFiles returns the files of records, the oldest first.
func recordFiles(path string) ([]string, error) {
	entries, err := os.ReadDir(filepath.Dir(path)) // sorted by name
	if err != nil {
		return nil, err
	}
	var files []string
	for _, entry := range entries {
		number, ok := strings.CutPrefix(entry.Name(), filepath.Base(path)+".")
		if ok && len(number) == 19 && strings.Trim(number, "0123456789") == "" {
			files = append(files, filepath.Join(filepath.Dir(path), entry.Name()))
		}
	}
	return append(files, path), nil
}

// records reads the records of a log, the oldest first, across its files.
type records struct {
	files  []string // that remain
	last   *os.File // the last of files, open from the beginning
	file   *os.File // nil before the first and after the last one
	reader *bufio.Reader
	peeked []byte
}

// openRecords opens the records, beginning with the file that has record from.
// A process may have the log open and begin a new file meanwhile.
func openRecords(path string, from int64) (*records, error) {
	files, last, err := openLast(path)
	if err != nil {
		return nil, err
	}
	later := func(file string) bool { return file != path && file > rotated(path, from) }
	for len(files) > 1 && files[1] != path && !later(files[1]) {
		files = files[1:]
	}
	if len(files) == 2 { // from may be in the file that is written now
		if first, err := firstRecord(path); err == nil && first <= from {
			files = files[1:]
		}
	}
	return &records{files: files, last: last}, nil
}

// openLast returns the files of records and opens the last one. Another process may
// rename it at any time, so openLast compares the lists before and after.
func openLast(path string) ([]string, *os.File, error) {
	for {
		before, err := recordFiles(path)
		if err != nil {
			return nil, nil, err
		}
		last, openErr := openFile(path)
		after, err := recordFiles(path)
		if err == nil && openErr == nil && slices.Equal(before, after) {
			return before, last, nil
		}
		if openErr == nil {
			_ = last.Close()
		}
		if err = errors.Join(openErr, err); err != nil && slices.Equal(before, after) {
			return nil, nil, err
		}
	}
}

// next returns the next line without its line break, valid until the next call, and
// io.EOF at the end. It ignores a last line without a line break, whose writer was
// killed.
func (r *records) next() ([]byte, error) {
	if line := r.peeked; line != nil {
		r.peeked = nil
		return line, nil
	}
	for {
		if r.file == nil {
			if len(r.files) == 0 {
				return nil, io.EOF
			}
			if err := r.open(); err != nil {
				return nil, err
			}
		}
		line, err := r.reader.ReadSlice('\n')
		switch {
		case err == nil:
			return line[:len(line)-1], nil
		case errors.Is(err, bufio.ErrBufferFull):
			return nil, errTooLong
		case !errors.Is(err, io.EOF):
			return nil, err
		}
		_ = r.file.Close()
		r.file = nil
	}
}

// open opens the next file.
func (r *records) open() error {
	file := r.last
	if len(r.files) == 1 && file != nil {
		r.last = nil
	} else {
		var err error
		if file, err = openFile(r.files[0]); err != nil {
			return err
		}
	}
	r.file, r.files, r.reader = file, r.files[1:], bufio.NewReaderSize(file, MaxRecord+2)
	return nil
}

var errTooLong = fmt.Errorf("a line has more than %d bytes", MaxRecord)

// peek returns the line that next returns, nil if there is none.
func (r *records) peek() []byte {
	if r.peeked == nil {
		line, err := r.next()
		if err != nil {
			return nil
		}
		r.peeked = line
	}
	return r.peeked
}

func (r *records) close() {
	for _, file := range []*os.File{r.file, r.last} {
		if file != nil {
			_ = file.Close()
		}
	}
}

// firstRecord returns the number of the first record of a file.
func firstRecord(path string) (int64, error) {
	in := records{files: []string{path}}
	defer in.close()
	line, err := in.next()
	if err != nil {
		return 0, err
	}
	n := numberOf(line)
	if n < 0 {
		return 0, errors.New("the first record has no number")
	}
	return n, nil
}

// lastRecord returns the end of the last complete line of a file and the number
// of its record, -1 if there is none.
func lastRecord(file io.ReaderAt, size int64) (end, n int64, err error) {
	start := max(0, size-2*(MaxRecord+1)) // a complete line and an incomplete one
	tail := make([]byte, size-start)
	if _, err := file.ReadAt(tail, start); err != nil && !errors.Is(err, io.EOF) {
		return 0, 0, err
	}
	last := bytes.LastIndexByte(tail, '\n')
	if last < 0 {
		return 0, -1, nil
	}
	line := tail[bytes.LastIndexByte(tail[:last], '\n')+1 : last]
	if n = numberOf(line); n < 0 {
		return 0, 0, errors.New("the last record has no number: restore the log, see audit.Verify")
	}
	return start + int64(last) + 1, n, nil
}

func lastOf(path string) (int64, error) {
	file, err := openFile(path)
	if err != nil {
		return 0, err
	}
	defer func() { _ = file.Close() }()
	info, err := file.Stat()
	if err != nil {
		return 0, err
	}
	_, n, err := lastRecord(file, info.Size())
	return n, err
}
