// SPDX-License-Identifier: Apache-2.0

package model

import "github.com/gatehouse-go/gatehouse"

// The error codes of this package. CodeUnbounded has the name of
// [gatehouse.CodeAccessDenied] and a description of its own.
var (
	CodeInvalidRequest = gatehouse.NewCode(400, "invalid_request", "The request body is malformed, or names no known model.")
	CodeTooLarge       = gatehouse.NewCode(413, "invalid_request", "The request body is too large.")
	CodeUnbounded      = gatehouse.NewCode(403, "access_denied", "The request has content whose cost cannot be bounded, such as images, files or stored content.")
)

// The reasons for which this package refuses a request. A missing scope has
// [scopes.ReasonMissing].
const (
	// ReasonUnknown: the request names no model, or a model that does not exist for the caller's tenant. Status: 400. Operator: add the model or the alias to the catalogue if callers should have it.
	ReasonUnknown gatehouse.Reason = "model_unknown"
	// ReasonAmbiguous: the body, the path and the header name different models, or the header occurs twice. Status: 400. Operator: have the client name one model.
	ReasonAmbiguous gatehouse.Reason = "model_ambiguous"
	// ReasonMalformed: the body is not a strict JSON object of its API, is not UTF-8, is compressed, or has another content type. Status: 400. Operator: see the cause; it names the member, never its text.
	ReasonMalformed gatehouse.Reason = "model_malformed"
	// ReasonTooLarge: the body exceeds Source.MaxBytes. Status: 413. Operator: raise the limit if the clients need it.
	ReasonTooLarge gatehouse.Reason = "model_too_large"
	// ReasonUnbounded: the cost of the request has no upper bound. Status: 403. Operator: have the client send the content as text.
	ReasonUnbounded gatehouse.Reason = "model_unbounded"
)
