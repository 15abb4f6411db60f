// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/coder/websocket"

	"github.com/gatehouse-go/gatehouse"
)

// events sends server-sent events until the client hangs up or the credential expires,
// behind gatehouse.EndAtExpiry.
func events(w http.ResponseWriter, r *http.Request) {
	p, _ := gatehouse.FromContext(r.Context())
	w.Header().Set("Content-Type", "text/event-stream")
	flush := http.NewResponseController(w).Flush
	tick := time.NewTicker(10 * time.Second)
	defer tick.Stop()
	for {
		if _, err := fmt.Fprintf(w, "data: hello, %s\n\n", p.Subject); err != nil || flush() != nil {
			return
		}
		select {
		case <-r.Context().Done():
			return
		case <-tick.C:
		}
	}
}

// socket returns each message of a WebSocket, until the client hangs up or the
// credential expires. Accept refuses browsers of other origins. A script cannot send an
// Authorization header with a WebSocket: in browsers use a session.
func socket(w http.ResponseWriter, r *http.Request) {
	connection, err := websocket.Accept(w, r, nil)
	if err != nil {
		return // Accept has answered
	}
	defer func() { _ = connection.CloseNow() }()
	// A read that its context ends closes the connection without a reason.
	ended := context.AfterFunc(r.Context(), func() {
		_ = connection.Close(websocket.StatusPolicyViolation, "the credential is expired")
	})
	defer ended()
	for {
		kind, message, err := connection.Read(context.WithoutCancel(r.Context()))
		if err != nil || connection.Write(r.Context(), kind, message) != nil {
			return
		}
	}
}
