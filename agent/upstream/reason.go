// SPDX-License-Identifier: Apache-2.0

package upstream

import "github.com/gatehouse-go/gatehouse"

// The reason of the package.
const (
	// ReasonNoAnswer: the store or the provider of a Rotator failed or did not answer. Status: 503. Operator: check the one that the event upstream_failed names.
	ReasonNoAnswer gatehouse.Reason = "upstream_no_answer"
)
