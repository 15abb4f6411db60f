// SPDX-License-Identifier: Apache-2.0

package audit

import "fmt"

// Problem is a kind of change of a log.
type Problem string

// The problems that [Verify] finds.
const (
	// Changed: the record differs from the record that was written.
	Changed Problem = "changed"
	// Missing: the record was removed.
	Missing Problem = "missing"
	// Inserted: the record was not written by the log, or is a copy of another one.
	Inserted Problem = "inserted"
	// OutOfPlace: the record was moved.
	OutOfPlace Problem = "out of place"
	// Rewritten: the records First to Last and the hashes were changed together, so
	// that no record can be named.
	Rewritten Problem = "rewritten"
	// HashesChanged: the hash file was changed at the record. The records are
	// unchanged.
	HashesChanged Problem = "intact, but its hash was changed"
	// CheckpointChanged: the first checkpoint after record First was changed or has
	// another key, or checkpoints are missing.
	CheckpointChanged Problem = "before a checkpoint that is not valid"
)

// Fault is the error of [Verify] for a log that was changed. Records are numbered
// from 0.
type Fault struct {
	First, Last int64 // the record, or the first and last one of those rewritten
	Problem     Problem
	Cause       error // why a checkpoint is not valid, nil otherwise
}

// Error names the record.
func (f *Fault) Error() string {
	text := fmt.Sprintf("audit: record %d is %s", f.First, f.Problem)
	if f.Problem == Rewritten {
		text = fmt.Sprintf("audit: one or more of the records %d to %d were changed, and the hashes with them", f.First, f.Last)
	}
	if f.Cause != nil {
		text += ": " + f.Cause.Error()
	}
	return text
}

// Unwrap returns the cause.
func (f *Fault) Unwrap() error { return f.Cause }
