// SPDX-License-Identifier: Apache-2.0

package gatea2a

import "github.com/gatehouse-go/gatehouse"

// The reasons of this package.
const (
	// ReasonMessage: the body is not one JSON-RPC message that every parser reads alike, or is too large. Status: 400, 413. Operator: check the client; a name that occurs twice may be an attack.
	ReasonMessage gatehouse.Reason = "gatea2a_message"
)

// CodeMessage is the code of a malformed message.
var CodeMessage = gatehouse.NewCode(400, "invalid_request", "The body must be one JSON-RPC message in application/json with distinct names and valid Unicode.")

var codeLarge = gatehouse.NewCode(413, "invalid_request", "The JSON-RPC message is too large.")
