// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/rand"
	"database/sql"
	_ "embed" // for the schema
	"fmt"
	"strings"
	"time"

	"github.com/gatehouse-go/gatehouse/tenant"
)

//go:embed schema.sql
var schema string

// migrate creates the tables, as their owner, and lets the role of the application use
// them. It does nothing if they are there.
func migrate(ctx context.Context, owner *sql.DB, role string) error {
	var there bool
	err := owner.QueryRowContext(ctx, "SELECT to_regclass('conversations') IS NOT NULL").Scan(&there)
	if err != nil || there {
		return err
	}
	tx, err := owner.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }()
	var statements strings.Builder
	statements.WriteString(schema)
	for _, table := range []string{"conversations", "messages", "documents", "models"} {
		statements.WriteString(tenant.Protect(table, "tenant"))
	}
	if _, err := tx.ExecContext(ctx, statements.String()); err != nil {
		return err
	}
	// The name of a role cannot be a parameter.
	var grant string
	if err := tx.QueryRowContext(ctx, "SELECT format('GRANT SELECT, INSERT, UPDATE, DELETE ON conversations, messages, documents, models TO %I', $1::text)", role).Scan(&grant); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, grant); err != nil {
		return err
	}
	return tx.Commit()
}

// store has the data of all tenants. No query has a condition for the tenant: that of
// the context is the only one whose rows it sees.
type store struct{ db *sql.DB }

// list runs a query of texts.
func list(ctx context.Context, tx *sql.Tx, query string, args ...any) ([]string, error) {
	rows, err := tx.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	texts := []string{}
	for rows.Next() {
		var text string
		if err := rows.Scan(&text); err != nil {
			return nil, err
		}
		texts = append(texts, text)
	}
	return texts, rows.Err()
}

// begin begins a conversation and returns its ID.
func (s *store) begin(ctx context.Context, title string) (id string, err error) {
	id = rand.Text()
	return id, s.exec(ctx, "INSERT INTO conversations (id, title) VALUES ($1, $2)", id, title)
}

func (s *store) exec(ctx context.Context, query string, args ...any) error {
	return tenant.Tx(ctx, s.db, nil, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, query, args...)
		return err
	})
}

// texts returns the texts of a query.
func (s *store) texts(ctx context.Context, query string, args ...any) (texts []string, err error) {
	err = tenant.Tx(ctx, s.db, &sql.TxOptions{ReadOnly: true}, func(tx *sql.Tx) error {
		texts, err = list(ctx, tx, query, args...)
		return err
	})
	return texts, err
}

// say adds a message to a conversation, and the answer of the model, which has the
// document of the tenant that fits best. The error is [sql.ErrNoRows] for a
// conversation that the tenant does not have.
func (s *store) say(ctx context.Context, conversation, text string) (answer string, err error) {
	err = tenant.Tx(ctx, s.db, nil, func(tx *sql.Tx) error {
		var title string
		if err := tx.QueryRowContext(ctx, "SELECT title FROM conversations WHERE id = $1", conversation).Scan(&title); err != nil {
			return err
		}
		found, err := list(ctx, tx, search+" LIMIT 1", text)
		if err != nil {
			return err
		}
		models, err := list(ctx, tx, "SELECT name FROM models ORDER BY name LIMIT 1")
		if err != nil {
			return err
		}
		answer = complete(models, found, text)
		_, err = tx.ExecContext(ctx, "INSERT INTO messages (conversation, author, content) VALUES ($1, 'user', $2), ($1, 'assistant', $3)", conversation, text, answer)
		return err
	})
	return answer, err
}

// search yields the documents that have a word of $1, those with most of them first.
const search = `
SELECT title || ': ' || content FROM documents,
	CAST(replace(plainto_tsquery('simple', $1)::text, '&', '|') AS tsquery) AS words
WHERE to_tsvector('simple', title || ' ' || content) @@ words
ORDER BY ts_rank(to_tsvector('simple', title || ' ' || content), words) DESC, title`

// complete stands for the call of a language model: with the fine-tuned model of the
// tenant, if it has one.
func complete(models, found []string, text string) string {
	model := "base"
	if len(models) > 0 {
		model = models[0]
	}
	if len(found) == 0 {
		return fmt.Sprintf("[%s] I know nothing about %q.", model, text)
	}
	return fmt.Sprintf("[%s] I read in %q.", model, found[0])
}

// expire is the background job that deletes old conversations. It has no caller, and
// does its work for one tenant after the other.
func (s *store) expire(ctx context.Context, tenants []string, age time.Duration) error {
	for _, name := range tenants {
		ctx, err := tenant.Job(ctx, name)
		if err != nil {
			return err
		}
		if err := s.exec(ctx, "DELETE FROM conversations WHERE begun < now() - $1::bigint * interval '1 second'", int64(age.Seconds())); err != nil {
			return err
		}
	}
	return nil
}
