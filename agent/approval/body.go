// SPDX-License-Identifier: Apache-2.0

package approval

import (
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"

	"github.com/gatehouse-go/gatehouse/internal/strictjson"
)

const maxBody = 64 << 10 // bytes of a decision

var errBody = errors.New("approval: the body must have one decision, approve or deny, at most one reason, and nothing else")

// readDecision reads the body of a POST, and reports whether it is a form.
func readDecision(w http.ResponseWriter, r *http.Request) (approve bool, reason string, form bool, err error) {
	media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil {
		return false, "", false, errors.New("approval: missing or malformed Content-Type")
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		return false, "", false, err
	}
	var decision string
	switch media {
	case "application/json":
		decision, reason, err = parseJSON(string(body))
	case "application/x-www-form-urlencoded":
		form = true
		decision, reason, err = parseForm(string(body))
	default:
		return false, "", false, fmt.Errorf("approval: Content-Type %.64q: want application/json or application/x-www-form-urlencoded", media)
	}
	if err == nil && decision != "approve" && decision != "deny" {
		err = errBody
	}
	return decision == "approve", reason, form, err
}

func parseJSON(body string) (decision, reason string, err error) {
	err = strictjson.Object(body, strictjson.Limits{Depth: 1, Members: 2}, func(name, value string) error {
		text, ok := strictjson.String(value)
		switch name {
		case "decision":
			decision = text
		case "reason":
			reason = text
		default:
			ok = false
		}
		if !ok {
			return errBody
		}
		return nil
	})
	return decision, reason, err
}

func parseForm(body string) (decision, reason string, err error) {
	values, err := url.ParseQuery(body)
	if err != nil {
		return "", "", errBody // the cause may quote the body
	}
	for name, texts := range values {
		if len(texts) != 1 || name != "decision" && name != "reason" {
			return "", "", errBody
		}
	}
	return values.Get("decision"), values.Get("reason"), nil
}
