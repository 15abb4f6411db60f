// SPDX-License-Identifier: Apache-2.0

package gatea2a

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	sdk "github.com/a2aproject/a2a-go/a2a"
	"github.com/a2aproject/a2a-go/a2asrv"
	"github.com/a2aproject/a2a-go/a2asrv/eventqueue"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/agent/approval"
	"github.com/gatehouse-go/gatehouse/agent/tool"
)

var errMessage = errors.New("the message must name a skill and have one data or text part")

// skillOf is the default for Config.Skill.
func skillOf(m *sdk.Message) (id string, arguments []byte, err error) {
	id, _ = m.Metadata["skill"].(string)
	if id == "" || len(m.Parts) != 1 {
		return "", nil, errMessage
	}
	switch part := m.Parts[0].(type) {
	case sdk.DataPart:
		arguments, err = json.Marshal(part.Data)
	case sdk.TextPart:
		arguments, err = json.Marshal(map[string]string{"text": part.Text})
	default:
		err = errMessage
	}
	return id, arguments, err
}

// refusal is an error of the SDK with a text for the caller.
type refusal struct {
	text string
	kind error
}

func (r refusal) Error() string { return r.text }
func (r refusal) Unwrap() error { return r.kind }

// refused returns the error for the caller, without the cause.
func refused(err error) error {
	if errors.Is(err, tool.ErrUnlisted) {
		return refusal{gatehouse.CodeAccessDenied.String() + ": unknown skill", sdk.ErrUnsupportedOperation}
	}
	e, ok := errors.AsType[*gatehouse.Error](err)
	if !ok {
		return refusal{gatehouse.CodeTemporarilyUnavailable.String(), sdk.ErrServerError}
	}
	r := refusal{e.Code.String(), sdk.ErrServerError}
	if e.Code == tool.CodeArguments {
		r.kind = sdk.ErrInvalidParams
	}
	if e.Scopes.Len() > 0 {
		r.text += fmt.Sprintf(": scope %q", e.Scopes)
	}
	return r
}

// interceptor checks the owner of tasks. It also refuses a message that must be refused
// for any arguments, before it becomes a part of a task.
type interceptor struct{ *Handler }

// Before implements [a2asrv.CallInterceptor].
func (i interceptor) Before(ctx context.Context, call *a2asrv.CallContext, request *a2asrv.Request) (context.Context, error) {
	p, _ := gatehouse.FromContext(ctx)
	call.User = &a2asrv.AuthenticatedUser{UserName: p.Key().String()}
	var tasks []sdk.TaskID
	switch params := request.Payload.(type) {
	case *sdk.TaskIDParams:
		tasks = append(tasks, params.ID)
	case *sdk.MessageSendParams:
		if params.Message == nil {
			return ctx, sdk.ErrInvalidParams
		}
		tasks = append(tasks, params.Message.ReferenceTasks...)
		if params.Message.TaskID != "" {
			tasks = append(tasks, params.Message.TaskID)
		}
		id, _, err := i.skill(params.Message)
		if err != nil {
			return ctx, sdk.ErrInvalidParams
		}
		if err := i.table.Check(ctx, p, id); err != nil {
			if _, recorded := i.table.Authorize(ctx, p, id, nil); recorded != nil { // an outage may be over
				err = recorded
			}
			return ctx, refused(err)
		}
	}
	for _, id := range tasks {
		// The SDK finds running tasks without the store, except for tasks/get.
		if _, err := i.tasks.Get(ctx, id); err != nil {
			return ctx, err
		}
	}
	return ctx, nil
}

// After implements [a2asrv.CallInterceptor].
func (interceptor) After(context.Context, *a2asrv.CallContext, *a2asrv.Response) error { return nil }

// executor authorizes a message immediately before the agent runs.
type executor struct {
	*Handler
	next a2asrv.AgentExecutor
}

// Execute implements [a2asrv.AgentExecutor].
func (e executor) Execute(ctx context.Context, request *a2asrv.RequestContext, queue eventqueue.Queue) error {
	p, _ := gatehouse.FromContext(ctx)
	id, arguments, err := e.skill(request.Message)
	if err != nil {
		return sdk.ErrInvalidParams
	}
	call, err := e.table.Authorize(ctx, p, id, arguments)
	if err == nil {
		return e.next.Execute(context.WithValue(ctx, callKey{}, call), request, queue)
	}
	state, content := sdk.TaskStateInputRequired, map[string]any{"error": refused(err).Error()}
	if required, ok := errors.AsType[*approval.RequiredError](err); ok {
		state = sdk.TaskStateAuthRequired
		content = map[string]any{
			"error": "approval_required", "approval": required.Approval.ID, "url": required.URL,
			"expires": required.Approval.Expires.UTC().Format(time.RFC3339),
		}
	} else if request.StoredTask == nil {
		return refused(err)
	}
	// An error would end the task, although only this message is refused.
	event := sdk.NewStatusUpdateEvent(request, state, sdk.NewMessageForTask(sdk.MessageRoleAgent, request, sdk.DataPart{Data: content}))
	event.Final = true
	return queue.Write(ctx, event)
}

// Cancel implements [a2asrv.AgentExecutor]. The owner of a task may cancel it.
func (e executor) Cancel(ctx context.Context, request *a2asrv.RequestContext, queue eventqueue.Queue) error {
	return e.next.Cancel(ctx, request, queue)
}

type callKey struct{}

// CallFrom returns the authorized call in the context of an executor.
func CallFrom(ctx context.Context) (*tool.Call, bool) {
	call, ok := ctx.Value(callKey{}).(*tool.Call)
	return call, ok
}
