// SPDX-License-Identifier: Apache-2.0

// Package approvals has the text forms of the parts of an approval that all engines
// store: roles and decisions, which a statement or a script searches and appends to.
package approvals

import (
	"errors"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/agent/approval"
)

// FormatRoles returns the names of roles, each between two line feeds. A name has no
// control character.
func FormatRoles(r gatehouse.Roles) string {
	if r.Len() == 0 {
		return "\n"
	}
	return "\n" + strings.Join(slices.Collect(r.All()), "\n") + "\n"
}

// ParseRoles reads what FormatRoles returns.
func ParseRoles(text string) (gatehouse.Roles, error) {
	if text == "\n" {
		return gatehouse.Roles{}, nil
	}
	return gatehouse.NewRoles(strings.Split(strings.Trim(text, "\n"), "\n")...)
}

// FormatDecision returns a decision without its decider and time: a word and the
// reason in URL encoding. A stored decision is a line of the decider's key, this, and
// the time in microseconds since 1970, with a space between them.
func FormatDecision(d approval.Decision) string {
	word := "deny "
	if d.Approve {
		word = "approve "
	}
	return word + url.QueryEscape(d.Comment)
}

var errDecision = errors.New("malformed decision")

// ParseDecisions reads stored decisions.
func ParseDecisions(text string) ([]approval.Decision, error) {
	var decisions []approval.Decision
	for line := range strings.Lines(text) {
		fields := strings.Split(strings.TrimSuffix(line, "\n"), " ")
		if len(fields) != 4 || fields[1] != "approve" && fields[1] != "deny" {
			return nil, errDecision
		}
		d := approval.Decision{Approve: fields[1] == "approve"}
		reason, errReason := url.QueryUnescape(fields[2])
		at, errTime := strconv.ParseInt(fields[3], 10, 64)
		if errors.Join(errReason, errTime, d.Decider.UnmarshalText([]byte(fields[0]))) != nil {
			return nil, errDecision
		}
		d.Comment, d.Time = reason, time.UnixMicro(at).UTC()
		decisions = append(decisions, d)
	}
	return decisions, nil
}
