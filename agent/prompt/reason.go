// SPDX-License-Identifier: Apache-2.0

package prompt

import "github.com/gatehouse-go/gatehouse"

// The reasons for which a [Filter] denies access.
const (
	// ReasonNotAllowed: the caller lacks a scope or the role that the category of the prompt requires. Status: 403. Operator: the event has the categories; grant the role if the caller should have it.
	ReasonNotAllowed gatehouse.Reason = "prompt_not_allowed"
	// ReasonUnknown: the classifier returned no category, or one without a rule. Status: 403. Operator: add a rule for each category of the classifier.
	ReasonUnknown gatehouse.Reason = "prompt_unknown"
	// ReasonFailed: the classifier returned an error, panicked or exceeded its deadline, or too many of its calls are in progress. Status: 403. Operator: check the classifier; the cause has the type of the error, not its text.
	ReasonFailed gatehouse.Reason = "prompt_failed"
)

// EventDecision is the type of the event for a prompt that a [Filter] allows. For a
// denied prompt, the event is that of the refusal; its cause names the category. Neither
// contains text of the prompt.
const EventDecision gatehouse.EventType = "prompt_decision"

// AttrCategories is an attribute of events: the categories of the prompt that have a
// rule.
const AttrCategories = "categories"
