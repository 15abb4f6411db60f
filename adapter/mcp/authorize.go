// SPDX-License-Identifier: Apache-2.0

package mcp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/agent/approval"
	"github.com/gatehouse-go/gatehouse/agent/tool"
)

// authorize is the middleware of the server. It authorizes a call immediately before the
// tool runs, and removes tools from a list that the caller can never call.
func (h *Handler) authorize(next sdk.MethodHandler) sdk.MethodHandler {
	return func(ctx context.Context, method string, request sdk.Request) (sdk.Result, error) {
		e := exchangeOf(ctx)
		if e == nil || e.principal.IsZero() {
			return nil, &jsonrpc.Error{Code: codeRefused, Message: "the server is not behind a gate"}
		}
		switch method {
		case "tools/call":
			return h.call(ctx, e, method, request, next)
		case "tools/list":
			return h.list(ctx, e, method, request, next)
		}
		return next(ctx, method, request)
	}
}

func (h *Handler) call(ctx context.Context, e *exchange, method string, request sdk.Request, next sdk.MethodHandler) (sdk.Result, error) {
	params, ok := request.GetParams().(*sdk.CallToolParamsRaw)
	if !ok {
		return nil, &jsonrpc.Error{Code: jsonrpc.CodeInvalidParams, Message: "malformed parameters"}
	}
	call, err := h.table.Authorize(ctx, e.principal, params.Name, params.Arguments)
	if err == nil {
		return next(context.WithValue(ctx, callKey{}, call), method, request)
	}
	if required, ok := errors.AsType[*approval.RequiredError](err); ok {
		return approvalRequired(required), nil
	}
	if errors.Is(err, tool.ErrUnlisted) {
		// What the SDK answers for a tool that it does not have.
		return nil, &jsonrpc.Error{Code: jsonrpc.CodeInvalidParams, Message: fmt.Sprintf("unknown tool %q", params.Name)}
	}
	e.refuse(err)
	return nil, &jsonrpc.Error{Code: codeRefused, Message: "refused"} // for a stream that has begun
}

// approvalRequired is the result of a call that needs an approval.
func approvalRequired(e *approval.RequiredError) sdk.Result {
	return result(map[string]any{
		"error": "approval_required", "approval": e.Approval.ID, "url": e.URL, "expires": e.Approval.Expires.UTC().Format(time.RFC3339),
	}, true)
}

// result returns a tool result with structured content, also as text for clients that
// show nothing else.
func result(content any, isError bool) *sdk.CallToolResult {
	encoded, err := json.Marshal(content)
	if err != nil {
		return &sdk.CallToolResult{IsError: true, Content: []sdk.Content{&sdk.TextContent{Text: "the result cannot be encoded"}}}
	}
	return &sdk.CallToolResult{IsError: isError, StructuredContent: json.RawMessage(encoded), Content: []sdk.Content{&sdk.TextContent{Text: string(encoded)}}}
}

func (h *Handler) list(ctx context.Context, e *exchange, method string, request sdk.Request, next sdk.MethodHandler) (sdk.Result, error) {
	listed, err := next(ctx, method, request)
	all, ok := listed.(*sdk.ListToolsResult)
	if err != nil || !ok {
		return listed, err
	}
	visible := *all // a middleware may keep the list
	visible.Tools = slices.DeleteFunc(slices.Clone(all.Tools), func(t *sdk.Tool) bool {
		shown, visibleErr := h.table.Visible(ctx, e.principal, t.Name)
		if visibleErr != nil {
			err = visibleErr
		}
		return !shown
	})
	if err != nil {
		e.refuse(err)
		return nil, &jsonrpc.Error{Code: codeRefused, Message: "refused"}
	}
	// The list is that of this caller now.
	visible.Cacheable = sdk.Cacheable{CacheScope: "private"}
	return &visible, nil
}

type callKey struct{}

// CallFrom returns the authorized call in the context of a tool.
func CallFrom(ctx context.Context) (*tool.Call, bool) {
	call, ok := ctx.Value(callKey{}).(*tool.Call)
	return call, ok
}

// AddTool adds a tool to a server. In is a struct: the type of the tool's Arguments in
// the table. The schema of the arguments is that of In, unless description has one. run
// gets the arguments that were authorized, and its result is the structured content of
// the tool result. An error of run is a tool result with isError and the text of the
// error, which the caller sees. An error that is or wraps a [*gatehouse.Error] is a
// refusal.
//
// AddTool panics if In has no schema.
func AddTool[In, Out any](server *sdk.Server, description *sdk.Tool, run func(ctx context.Context, call *tool.Call, arguments In) (Out, error)) {
	described := *description
	if described.InputSchema == nil {
		described.InputSchema = schemaOf[In](described.Name)
	}
	server.AddTool(&described, func(ctx context.Context, _ *sdk.CallToolRequest) (*sdk.CallToolResult, error) {
		call, ok := CallFrom(ctx)
		if !ok {
			return nil, &jsonrpc.Error{Code: codeRefused, Message: "the call was not authorized"}
		}
		arguments, ok := call.Arguments.(*In)
		if !ok || call.Tool != described.Name {
			return nil, &jsonrpc.Error{Code: codeRefused, Message: "the tool has other arguments in the table"}
		}
		out, err := run(ctx, call, *arguments)
		if refusal, ok := errors.AsType[*gatehouse.Error](err); ok {
			exchangeOf(ctx).refuse(refusal)
			return nil, &jsonrpc.Error{Code: codeRefused, Message: "refused"}
		}
		if err != nil {
			return &sdk.CallToolResult{IsError: true, Content: []sdk.Content{&sdk.TextContent{Text: err.Error()}}}, nil //nolint:nilerr // the result has the error
		}
		return result(out, false), nil
	})
}
