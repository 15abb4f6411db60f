// SPDX-License-Identifier: Apache-2.0

package gatea2a

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime"
	"net/http"
	"slices"
	"time"

	sdk "github.com/a2aproject/a2a-go/a2a"
	"github.com/a2aproject/a2a-go/a2asrv"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/agent/tool"
	"github.com/gatehouse-go/gatehouse/internal/strictjson"
	"github.com/gatehouse-go/gatehouse/internal/typednil"
	"github.com/gatehouse-go/gatehouse/jwtauth"
)

// Config configures a [Handler].
type Config struct {
	// Executor is the agent. Required.
	Executor a2asrv.AgentExecutor

	// Table decides on the messages. Its tools are the skills, by their ID: each skill
	// has a tool and each tool a skill. Required.
	Table *tool.Table

	// Tasks stores the tasks. The IDs that it gets begin with a hash of the owner. For an
	// unknown task, Get must return an error that wraps [sdk.ErrTaskNotFound]. Required.
	Tasks a2asrv.TaskStore

	// Card is the public card. Its URL is required. The handler sets Security,
	// SecuritySchemes, Signatures and SupportsAuthenticatedExtendedCard, and the Security
	// of each skill; they must be empty.
	Card sdk.AgentCard

	// Skills are additional skills. Only the extended card of a caller that can call them
	// contains them. Optional.
	Skills []sdk.AgentSkill

	// Authenticators are the authenticators of the gate. The security schemes of the
	// cards come from their Reads. Required.
	Authenticators []gatehouse.Authenticator

	// OAuth describes how a client gets a token. In the cards it replaces the Bearer
	// scheme. Optional.
	OAuth *sdk.OAuth2SecurityScheme

	// Keys signs the cards. Publish the keyring as a JWK Set, so that clients can verify
	// them. Required.
	Keys *jwtauth.KeyRing

	// Skill returns the ID of the skill that a message is for, and the JSON object of its
	// arguments. The package comment describes the default. If it returns an error, the
	// caller gets [sdk.ErrInvalidParams] without the text of the error. It must be safe
	// for concurrent use. Optional.
	Skill func(*sdk.Message) (id string, arguments []byte, err error)
}

// Handler serves an agent behind a gate. It is safe for concurrent use.
type Handler struct {
	table *tool.Table
	tasks owned
	skill func(*sdk.Message) (string, []byte, error)
	cards cards
	next  http.Handler
}

const maxBody = 4 << 20

// New returns a handler. It reports all configuration errors at once.
func New(config Config) (*Handler, error) {
	var errs []error
	fail := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("gatea2a: Config."+format, args...))
	}
	if typednil.Is(config.Executor) {
		fail("Executor: required")
	}
	if typednil.Is(config.Tasks) {
		fail("Tasks: required")
	}
	if config.Keys == nil {
		fail("Keys: required")
	}
	if len(config.Authenticators) == 0 {
		fail("Authenticators: required")
	}
	for i, authenticator := range config.Authenticators {
		if typednil.Is(authenticator) {
			fail("Authenticators[%d]: required", i)
		}
	}
	if config.Card.URL == "" {
		fail("Card.URL: required")
	}
	if c := config.Card; c.Security != nil || c.SecuritySchemes != nil || c.Signatures != nil || c.SupportsAuthenticatedExtendedCard {
		fail("Card: Security, SecuritySchemes, Signatures and SupportsAuthenticatedExtendedCard: must be empty: the handler sets them")
	}
	if config.Card.Capabilities.PushNotifications {
		fail("Card.Capabilities.PushNotifications: not supported")
	}
	if config.Table == nil {
		fail("Table: required")
	} else {
		tools := make(map[string]bool)
		for _, name := range config.Table.Names() {
			tools[name] = true
		}
		for _, skill := range slices.Concat(config.Card.Skills, config.Skills) {
			if !tools[skill.ID] {
				fail("Skills: %q: not in the table, or twice", skill.ID)
			}
			if skill.Security != nil {
				fail("Skills: %q: Security: must be empty: the handler sets it", skill.ID)
			}
			delete(tools, skill.ID)
		}
		for _, name := range slices.Sorted(maps.Keys(tools)) {
			fail("Table: tool %q is not a skill: give the agent a table of its own", name)
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	h := &Handler{table: config.Table, tasks: owned{config.Tasks}, skill: config.Skill}
	if h.skill == nil {
		h.skill = skillOf
	}
	if err := h.cards.init(config); err != nil {
		return nil, fmt.Errorf("gatea2a: Config.Card: %w", err)
	}
	h.next = gatehouse.EndAtExpiry(a2asrv.NewJSONRPCHandler(a2asrv.NewHandler(executor{h, config.Executor},
		a2asrv.WithTaskStore(h.tasks),
		a2asrv.WithCallInterceptor(interceptor{h}),
		a2asrv.WithExtendedAgentCardProducer(a2asrv.AgentCardProducerFn(h.extended)),
	)))
	return h, nil
}

// ServeHTTP serves a request that the gate has authenticated.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		http.Error(w, http.StatusText(http.StatusMethodNotAllowed), http.StatusMethodNotAllowed)
		return
	}
	if p, _ := gatehouse.FromContext(r.Context()); p.IsZero() {
		gatehouse.Refuse(w, r, &gatehouse.Error{
			Code: gatehouse.CodeMissingCredentials, Reason: gatehouse.ReasonOutsideGate, Cause: errors.New("gatea2a: the handler is not behind a gate"),
		})
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		gatehouse.Refuse(w, r, &gatehouse.Error{Code: codeLarge, Reason: ReasonMessage, Cause: err})
		return
	}
	// The SDK uses the last of two members with one name, and ignores case.
	method := ""
	err = strictjson.Object(string(body), strictjson.Limits{Depth: 64, Members: 100_000}, func(name, value string) error {
		if name == "method" {
			method, _ = strictjson.String(value)
		}
		return nil
	})
	// A page of another site can send some other types without a CORS preflight request.
	if media, _, mediaErr := mime.ParseMediaType(r.Header.Get("Content-Type")); err == nil && (mediaErr != nil || media != "application/json") {
		err = errors.New("gatea2a: Content-Type: must be application/json")
	}
	if err != nil {
		gatehouse.Refuse(w, r, &gatehouse.Error{Code: CodeMessage, Reason: ReasonMessage, Cause: err})
		return
	}
	if method == "message/stream" || method == "tasks/resubscribe" {
		// The stream ends with the credential, not at the timeout of the server.
		_ = http.NewResponseController(w).SetWriteDeadline(time.Time{})
	}
	maps.Copy(w.Header(), http.Header{"Content-Type": {"application/json"}, "Cache-Control": {"no-store"}})
	inner := r.Clone(r.Context())
	inner.Body = io.NopCloser(bytes.NewReader(body))
	h.next.ServeHTTP(w, inner)
}
