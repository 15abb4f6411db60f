// SPDX-License-Identifier: Apache-2.0

// Package mcp puts a server of the official MCP SDK for Go behind a gate.
//
// The SDK cannot allow a caller one tool and deny it another. A [Handler] serves the
// MCP server over Streamable HTTP and decides on every call with a [tool.Table]:
//
//   - a call is authorized immediately before the tool runs, by name and arguments;
//   - a missing scope is 403 insufficient_scope, with all scopes of the tool and the
//     address of the metadata of the protected resource (step-up);
//   - the response to a call that needs an approval is a tool result with the approval;
//   - the list of tools contains no tool that the caller can never call;
//   - the body of each refusal is a JSON-RPC error with the ID of the request: after
//     any other body the client of the SDK ends the connection;
//   - a request from a page of another origin is 403;
//   - a response stream ends when the credential ends.
//
// The server is stateless: it has no sessions, so any node can answer, and an attacker
// cannot take over a session. It supports all protocol versions of the SDK, up to
// 2026-07-28. It refuses batches, which MCP 2026-07-28 does not have.
//
// # Wiring
//
//	tools, err := mcp.New(mcp.Config{Server: server, Table: table, Origin: "https://tools.example.com"})
//	gate, err := gatehouse.New(gatehouse.Config{…, Metadata: metadata, ErrorBody: mcp.ErrorBody})
//	mux := gate.Mux()
//	mux.Handle("/mcp", tools, gatehouse.Authenticated)
//	http.Handle("/mcp", tools.Front(mux))
//
// Register tools with [AddTool]: its functions get the arguments that were authorized
// and, if the tool needs one, approved. The credential of the caller has been removed
// from the request before a tool runs, so that a tool cannot pass it on.
package mcp
