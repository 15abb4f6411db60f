// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"time"

	"github.com/gatehouse-go/gatehouse"
)

const (
	maxText = 1024 // bytes of client-supplied text in a record

	// MaxRecord is the maximum size of a record in bytes: that of an entry in a
	// C2SP tlog-tiles log. Observe returns an error for a larger event.
	MaxRecord = 65535
)

// encode returns the record of an event without its number: a JSON object
// without the opening brace.
func encode(ctx context.Context, e gatehouse.Event) ([]byte, error) {
	var attrs []slog.Attr
	text := func(key, value string) {
		if value != "" {
			attrs = append(attrs, slog.String(key, value[:min(len(value), maxText)]))
		}
	}
	text("decision", string(e.Decision))
	text("reason", string(e.Reason))
	text("error", e.Code)
	if e.Status != 0 {
		attrs = append(attrs, slog.Int("status", e.Status))
	}
	text("method", e.Method)
	text("host", e.Host)
	text("path", e.Path)
	text("route", e.Route)
	text("issuer", e.Issuer)
	p := e.Principal
	text("subject", p.Subject)
	text("tenant", p.Tenant)
	text("client", p.Client)
	text("proof", string(p.Method))
	text("binding", string(p.Binding))
	if actors := slices.Collect(p.Actors.All()); len(actors) > 0 {
		subjects := make([]string, len(actors))
		for i, actor := range actors {
			subjects[i] = actor.Subject
		}
		attrs = append(attrs, slog.Any("actors", subjects))
	}
	if !p.IsZero() {
		text("scopes", p.Scopes.String())
	}
	text("credential", e.Credential)
	if len(e.Attrs) > 0 {
		attrs = append(attrs, slog.GroupAttrs("attrs", e.Attrs...))
	}
	if e.Cause != nil {
		text("cause", e.Cause.Error())
	}
	if e.Duration != 0 {
		attrs = append(attrs, slog.Int64("duration_us", e.Duration.Microseconds()))
	}
	return encodeRecord(ctx, string(e.Type), attrs)
}

// encodeRecord encodes a record with the JSON of package slog, which escapes
// control characters and invalid UTF-8.
func encodeRecord(ctx context.Context, eventType string, attrs []slog.Attr) ([]byte, error) {
	record := slog.NewRecord(time.Now().UTC(), slog.LevelInfo, eventType, 0)
	record.AddAttrs(attrs...)
	var out bytes.Buffer
	handler := slog.NewJSONHandler(&out, &slog.HandlerOptions{ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
		if len(groups) == 0 {
			switch a.Key {
			case slog.LevelKey:
				return slog.Attr{}
			case slog.MessageKey:
				a.Key = "type"
			}
		}
		return a
	}})
	if err := handler.Handle(ctx, record); err != nil {
		return nil, fmt.Errorf("audit: record: %w", err)
	}
	encoded := bytes.TrimSuffix(out.Bytes(), []byte("\n"))[1:]
	if len(encoded) > MaxRecord-len(`{"seq":9223372036854775807,`)-sealLength {
		return nil, fmt.Errorf("audit: record: got %d bytes, at most %d are allowed", len(encoded), MaxRecord)
	}
	return encoded, nil
}

const numberPrefix = `{"seq":`

// number appends a record with its number.
func number(line []byte, n int64, encoded []byte) []byte {
	line = strconv.AppendInt(append(line, numberPrefix...), n, 10)
	return append(append(line, ','), encoded...)
}

// numberOf returns the number of a record, -1 if it has none.
func numberOf(line []byte) int64 {
	rest, ok := bytes.CutPrefix(line, []byte(numberPrefix))
	digits, _, found := bytes.Cut(rest, []byte(","))
	n, err := strconv.ParseInt(string(digits), 10, 64)
	if !ok || !found || err != nil || n < 0 || strconv.FormatInt(n, 10) != string(digits) {
		return -1
	}
	return n
}
