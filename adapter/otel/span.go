// SPDX-License-Identifier: Apache-2.0

package gateotel

import (
	"context"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/gatehouse-go/gatehouse"
)

// maxText limits client-supplied text, in bytes, like gatehouse.Log.
const maxText = 128

// annotate records an event in the span of ctx.
func (t *Telemetry) annotate(ctx context.Context, e *gatehouse.Event) {
	span := trace.SpanFromContext(ctx)
	if !span.IsRecording() {
		return
	}
	var attributes []attribute.KeyValue
	add := func(key, value string) {
		if value != "" {
			attributes = append(attributes, attribute.String(key, strings.ToValidUTF8(value[:min(len(value), maxText)], "")))
		}
	}
	p := &e.Principal
	add("gatehouse.reason", string(e.Reason))
	if t.identities {
		add("enduser.id", p.Subject)
		add("gatehouse.tenant", p.Tenant)
		add("gatehouse.client", p.Client)
		add("gatehouse.credential", e.Credential)
	}
	if e.Decision == "" {
		add("gatehouse.level", level(e.Level))
		span.AddEvent(string(e.Type), trace.WithAttributes(attributes...))
		return
	}
	add("gatehouse.decision", string(e.Decision))
	add("gatehouse.code", e.Code)
	add("gatehouse.kind", string(p.Kind))
	add("gatehouse.method", string(p.Method))
	add("gatehouse.binding", string(p.Binding))
	span.SetAttributes(attributes...)
}
