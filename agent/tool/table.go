// SPDX-License-Identifier: Apache-2.0

// Package tool decides which tools an AI agent may call. A table lists the tools: each
// [Tool] has a [Class], and the class requires a proof, scopes and perhaps an approval
// for a call. A tool that the table does not list is denied.
//
// [Table.Authorize] decides on one call with its arguments: allowed, scope missing,
// approval required, or denied. [Table.Handler] does the same as HTTP middleware, and
// module adapter/mcp for an MCP server. Arguments are read strictly into a Go type, and
// the tool runs with that value: the arguments that a person approves are the arguments
// that run.
//
// Config.Facts returns data about a caller that its principal does not contain, such as
// the attestation of an agent.
package tool

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/agent/approval"
	"github.com/gatehouse-go/gatehouse/internal/text"
	"github.com/gatehouse-go/gatehouse/internal/typednil"
)

const maxName = 128 // bytes of the name of a tool, a class or a version

// Config configures a [Table].
type Config struct {
	// Classes are the classes of tools by name. Required.
	Classes map[string]Class

	// Tools are the tools that can be called, each with a name of its own. Required.
	Tools []Tool

	// Approvals requests and claims approvals. Required if a class needs one.
	Approvals *approval.Approvals

	// Facts returns the facts about a caller. Required. If it returns an error, the call
	// is refused: a [*gatehouse.Error] determines the response, an error of the context
	// or the network is 503, any other error is 403.
	Facts func(ctx context.Context, p gatehouse.Principal) (Facts, error)

	// Observer receives an [EventCall] for each call, before it runs, and for each
	// refusal. Optional, but required for a class without AllowUnrecorded.
	Observer gatehouse.Observer
}

// Class contains the requirements for calls of a class of tools.
type Class struct {
	// Proof is the weakest proof that suffices. Required.
	Proof Proof

	// Scopes are the scopes that a call needs. The caller must have all of them.
	// Required.
	Scopes gatehouse.Scopes

	// Approval says who must approve each call; the zero Rule is for calls without
	// approval.
	Approval approval.Rule

	// AllowUnrecorded lets a call run even if the observer could not record it. By
	// default a call runs only after Observe has returned nil. Set it only for tools that
	// only read public data: they then run without a record if the log is full or
	// unavailable.
	AllowUnrecorded bool
}

// Tool is one tool.
type Tool struct {
	// Name is the name of the tool in calls. Required.
	Name string

	// Version is the version of the tool. Change it when the meaning of the arguments
	// changes: it makes approvals of the previous version void. Optional.
	Version string

	// Class is the name of a class of Config.Classes. Required.
	Class string

	// Arguments is the type of the arguments: see [Args]. Required.
	Arguments Arguments

	// Check restricts the arguments: allowed hosts, amounts, paths. It is called with the
	// decoded arguments, before an approval is requested and again before the call runs.
	// An error denies the call, as an error of a [gatehouse.Policy] does. Optional.
	Check func(ctx context.Context, c *Call) error
}

// entry is a tool with its class.
type entry struct {
	Tool
	Class
	name string // of the class
}

// Table is a table of tools. It is safe for concurrent use.
type Table struct {
	tools     map[string]*entry
	approvals *approval.Approvals
	facts     func(context.Context, gatehouse.Principal) (Facts, error)
	observer  gatehouse.Observer
}

// New returns a table. It reports all configuration errors at once.
func New(c Config) (*Table, error) {
	t := &Table{tools: make(map[string]*entry), approvals: c.Approvals, facts: c.Facts, observer: c.Observer}
	var errs []error
	fail := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("tool: Config."+format, args...))
	}
	if c.Facts == nil {
		fail("Facts: required")
	}
	if c.Observer != nil && typednil.Is(c.Observer) {
		fail("Observer: is a nil %T", c.Observer)
	}
	for _, name := range slices.Sorted(maps.Keys(c.Classes)) {
		class := c.Classes[name]
		if err := class.check(c.Approvals != nil, c.Observer != nil); !isName(name) {
			fail("Classes: %q: a name is 1 to %d bytes of UTF-8 without control characters", name, maxName)
		} else if err != nil {
			fail("Classes[%q]: %w", name, err)
		}
	}
	if len(c.Tools) == 0 {
		fail("Tools: required")
	}
	for i, tool := range c.Tools {
		class, ok := c.Classes[tool.Class]
		switch {
		case !isName(tool.Name) || tool.Version != "" && !isName(tool.Version):
			fail("Tools[%d]: Name and Version: must be 1 to %d bytes of UTF-8 without control characters", i, maxName)
		case t.tools[tool.Name] != nil:
			fail("Tools[%d].Name: %q: duplicate", i, tool.Name)
		case !ok:
			fail("Tools[%d].Class: %q: not in Classes", i, tool.Class)
		case tool.Arguments.decode == nil:
			fail("Tools[%d].Arguments: required: use Args", i)
		}
		if err := tool.Arguments.err; err != nil {
			fail("Tools[%d].Arguments: %w", i, err)
		}
		t.tools[tool.Name] = &entry{tool, class, tool.Class}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return t, nil
}

func isName(s string) bool { return s != "" && text.IsClean(s, maxName) }

func (c Class) check(approvals, observer bool) error {
	var errs []error
	if err := c.Proof.check(); err != nil {
		errs = append(errs, err)
	}
	if c.Scopes.Len() == 0 {
		errs = append(errs, errors.New("Scopes: required"))
	}
	if c.Approval != (approval.Rule{}) {
		if err := c.Approval.Check(); err != nil {
			errs = append(errs, err)
		}
		if !approvals {
			errs = append(errs, errors.New("Approval: needs Config.Approvals"))
		}
	}
	if !c.AllowUnrecorded && !observer {
		errs = append(errs, errors.New("AllowUnrecorded: required without Config.Observer: its calls would be recorded nowhere"))
	}
	return errors.Join(errs...)
}

// Names returns the names of all tools, sorted.
func (t *Table) Names() []string { return slices.Sorted(maps.Keys(t.tools)) }

// Scopes returns the scopes that calls of a tool need, and false for a tool that is
// not listed.
func (t *Table) Scopes(name string) (gatehouse.Scopes, bool) {
	e, ok := t.tools[name]
	if !ok {
		return gatehouse.Scopes{}, false
	}
	return e.Class.Scopes, true
}
