// SPDX-License-Identifier: Apache-2.0

package gatehouse

import (
	"context"
	"log/slog"
)

// Log returns an observer that writes every decision to logger: what is allowed
// at level Debug, who came without credentials at Info, what else is refused or
// denied at Warn, what could not be decided at Error. It never fails.
//
// The caller's own words, such as the path, are cut to 128 bytes; a handler of
// log/slog quotes them.
//
// Log panics if logger is nil.
func Log(logger *slog.Logger) Observer {
	if logger == nil {
		panic("gatehouse: Log: nil logger")
	}
	return ObserverFunc(func(ctx context.Context, e Event) error {
		level := slog.LevelWarn
		switch {
		case e.Decision == Allowed:
			level = slog.LevelDebug
		case e.Decision == Unavailable:
			level = slog.LevelError
		case e.Reason == ReasonNoCredentials:
			level = slog.LevelInfo // every crawler does, and it must not drown the rest
		}
		if !logger.Enabled(ctx, level) {
			return nil
		}
		attrs := make([]slog.Attr, 0, 16)
		text := func(key, value string) {
			if value != "" {
				attrs = append(attrs, slog.String(key, value[:min(len(value), 128)]))
			}
		}
		text("reason", string(e.Reason))
		text("error", string(e.Code))
		if e.Status != 0 {
			attrs = append(attrs, slog.Int("status", e.Status))
		}
		text("method", e.Method)
		text("host", e.Host)
		text("path", e.Path)
		text("issuer", e.Issuer)
		text("subject", e.Principal.Subject)
		text("tenant", e.Principal.Tenant)
		text("client", e.Principal.Client)
		text("proof", string(e.Principal.Method))
		text("credential", e.Credential)
		if e.Cause != nil {
			attrs = append(attrs, slog.String("cause", e.Cause.Error()))
		}
		attrs = append(attrs, slog.Duration("duration", e.Duration))
		logger.LogAttrs(ctx, level, "gatehouse: "+string(e.Decision), attrs...)
		return nil
	})
}
