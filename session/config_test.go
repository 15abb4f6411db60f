// SPDX-License-Identifier: Apache-2.0

package session_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-go/gatehouse/session"
)

func TestNewReportsEveryMistake(t *testing.T) {
	_, err := session.New(session.Config{
		Refresh:        func(_ context.Context, t session.Tokens) (session.Tokens, error) { return t, nil },
		TrustedOrigins: []string{"https://*.example.com"},
		Idle:           time.Millisecond,
		Absolute:       401 * 24 * time.Hour,
		Name:           "a b",
	})
	if err == nil {
		t.Fatal("accepted")
	}
	for _, field := range []string{"Store: required", "Keys: required", "TrustedOrigins:", "Idle: must be at least", "Absolute: must be from", "Name:"} {
		if !strings.Contains(err.Error(), "session: Config."+field) {
			t.Errorf("nothing about %s in:\n%v", field, err)
		}
	}
}

func TestNewRefusesTimeouts(t *testing.T) {
	for name, c := range map[string]struct {
		idle, absolute time.Duration
		good           bool
	}{
		"defaults":                  {0, 0, true},
		"a short idle":              {time.Second, 0, true},
		"a short end":               {time.Second, time.Second, true},
		"too short an idle":         {time.Second - 1, 0, false},
		"a negative idle":           {-time.Minute, 0, false},
		"too short an end":          {0, time.Second - 1, false},
		"a negative end":            {0, -time.Hour, false},
		"idle longer than the end":  {time.Hour, time.Minute, true},
		"the default idle is cut":   {0, time.Minute, true},
		"idle longer than 12 hours": {13 * time.Hour, 0, true},
		"400 days":                  {0, 400 * 24 * time.Hour, true},
	} {
		m, err := session.New(session.Config{Store: session.NewMemory(0), Idle: c.idle, Absolute: c.absolute})
		if (err == nil) != c.good || c.absolute != 0 && err != nil && !strings.Contains(err.Error(), "Config.Absolute") {
			t.Errorf("%s: %v", name, err)
		}
		if m != nil {
			_ = m.Close()
		}
	}
}
