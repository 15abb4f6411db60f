// SPDX-License-Identifier: Apache-2.0

package session_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-go/gatehouse/session"
)

func TestNewMistakes(t *testing.T) {
	_, err := session.New(session.Config{
		Store:          (*session.Memory)(nil),
		Observer:       (*recorder)(nil),
		Refresh:        func(_ context.Context, t session.Tokens) (session.Tokens, error) { return t, nil },
		TrustedOrigins: []string{"https://*.example.com"},
		Idle:           time.Millisecond,
		Absolute:       401 * 24 * time.Hour,
		PerUser:        -1,
		Name:           "a b",
	})
	for _, field := range []string{"Store: required", "Observer: is a nil", "Keys: required", "TrustedOrigins:", "Idle: must be at least", "Absolute: must be from", "PerUser: must be from", "Name:"} {
		if err == nil || !strings.Contains(err.Error(), "session: Config."+field) {
			t.Errorf("New error = %v, want it to name %s", err, field)
		}
	}
	const day = 24 * time.Hour
	for name, c := range map[string]struct {
		idle, absolute time.Duration
		perUser        int
		mistake        string
	}{
		"defaults": {0, 0, 0, ""}, "shortest": {time.Second, time.Second, 1, ""}, "longest": {0, 400 * day, 1000, ""},
		"idle over absolute": {time.Hour, time.Minute, 0, ""}, "default idle over absolute": {0, time.Minute, 0, ""}, "idle over 12 hours": {13 * time.Hour, 0, 0, ""},
		"idle too short": {time.Second - 1, 0, 0, "Idle"}, "idle negative": {-time.Minute, 0, 0, "Idle"},
		"absolute too short": {0, time.Second - 1, 0, "Absolute"}, "absolute negative": {0, -time.Hour, 0, "Absolute"}, "too many sessions": {0, 0, 1001, "PerUser"},
	} {
		_, err := session.New(session.Config{Store: session.NewMemory(0), Idle: c.idle, Absolute: c.absolute, PerUser: c.perUser})
		if (err == nil) != (c.mistake == "") || err != nil && !strings.Contains(err.Error(), "Config."+c.mistake) {
			t.Errorf("%s: New error = %v, want a mistake in %q", name, err, c.mistake)
		}
	}
}
