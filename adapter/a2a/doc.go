// SPDX-License-Identifier: Apache-2.0

// Package gatea2a puts an agent of the Agent2Agent SDK for Go behind a gate.
//
// The SDK authenticates no caller, and any caller can read and cancel the tasks of
// others. A [Handler] serves an agent over JSON-RPC and decides with a [tool.Table],
// in which the skills of the agent are the tools:
//
//   - a message names a skill, and is authorized immediately before the executor runs;
//     a skill that the table does not list is denied;
//   - a message that needs an approval puts its task into the state auth-required, with
//     the address of the approval; send it again, with the ID of the task, afterwards;
//   - the extended card of a caller has no skills that it can never call;
//   - a task belongs to the caller whose message created it; for all other callers it
//     does not exist;
//   - the cards name the security schemes of the gate and are signed; clients verify them
//     with [VerifyCard];
//   - a response stream ends when the credential ends. The task continues, because its
//     message was authorized.
//
// # Wiring
//
//	agent, err := gatea2a.New(gatea2a.Config{Executor: executor, Table: table, …})
//	mux := http.NewServeMux()
//	mux.Handle("/.well-known/agent-card.json", agent.Card())
//	mux.Handle("/a2a", gate.Handler(agent))
//
// # Messages
//
// Protocol 0.3 has no member for the skill. By default the metadata member "skill" of a
// message names it, and the message has one part: a data part, whose object is the
// arguments of the skill, or a text part, whose text is the argument "text". The executor
// gets the authorized skill and arguments from [CallFrom], and must use nothing else of
// the message. The client chooses the contextId: store data of a conversation under both
// the key of the principal and the contextId.
//
// # Refusals
//
// The gate refuses callers with a status of HTTP and a challenge. The client of the SDK
// drops the body of such a response, so a skill is refused with a JSON-RPC error, whose
// data.error has the error code and the scopes of the skill. Push notifications are not
// supported: the SDK sends them to any URL that the caller names.
package gatea2a
