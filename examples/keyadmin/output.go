// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/gatehouse-go/gatehouse/apikey"
)

// keyJSON is a key in the output of -json.
type keyJSON struct {
	ID          string     `json:"id"`
	Owner       string     `json:"owner"`
	Tenant      string     `json:"tenant"`
	Environment string     `json:"environment"`
	Scopes      []string   `json:"scopes"`
	Networks    []string   `json:"networks"`
	Status      string     `json:"status"`
	Created     time.Time  `json:"created"`
	Rotated     time.Time  `json:"rotated"`
	Expires     time.Time  `json:"expires"`
	GraceEnds   *time.Time `json:"grace_ends,omitempty"`
	Revoked     *time.Time `json:"revoked,omitempty"`
	LastUsed    *time.Time `json:"last_used,omitempty"`
	Uses        int64      `json:"uses"`
	Secret      string     `json:"secret,omitempty"`
}

func toJSON(k apikey.Key) keyJSON {
	j := keyJSON{
		ID: k.ID, Owner: k.Owner, Tenant: k.Tenant, Environment: k.Environment,
		Scopes: append([]string{}, slices.Collect(k.Scopes.All())...), Networks: []string{}, Status: status(k),
		Created: k.Created, Rotated: k.Rotated, Expires: k.Expires,
		GraceEnds: moment(k.GraceEnds), Revoked: moment(k.Revoked), LastUsed: moment(k.LastUsed), Uses: k.Uses,
	}
	for _, network := range k.Networks {
		j.Networks = append(j.Networks, network.String())
	}
	return j
}

func moment(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

func status(k apikey.Key) string {
	switch {
	case !k.Revoked.IsZero():
		return "revoked"
	case !k.Suspended.IsZero():
		return "suspended"
	case !time.Now().Before(k.Expires):
		return "expired"
	}
	return "active"
}

func (c *call) printJSON(v any) error {
	encoder := json.NewEncoder(c.out)
	encoder.SetIndent("", "  ")
	return encoder.Encode(v)
}

func (c *call) show(k apikey.Key) error {
	if c.json {
		return c.printJSON(toJSON(k))
	}
	t := c.newTable()
	return errors.Join(t.add([]apikey.Key{k}), t.end())
}

// table prints keys as they are read, as rows whose columns are aligned page by
// page, or as a JSON array.
type table struct {
	c     *call
	start string // of the next JSON element
	pages int
}

func (c *call) newTable() *table { return &table{c: c, start: "[\n  "} }

func (t *table) add(keys []apikey.Key) error {
	t.pages++
	if t.c.json {
		for _, k := range keys {
			text, err := json.MarshalIndent(toJSON(k), "  ", "  ") //nolint:gosec // the member is empty in a list
			if err == nil {
				_, err = fmt.Fprintf(t.c.out, "%s%s", t.start, text)
			}
			if err != nil {
				return err
			}
			t.start = ",\n  "
		}
		return nil
	}
	w := tabwriter.NewWriter(t.c.out, 0, 0, 2, ' ', 0)
	if t.pages == 1 {
		fmt.Fprintln(w, "ID\tSTATUS\tOWNER\tTENANT\tENV\tSCOPES\tEXPIRES\tLAST USED\tUSES")
	}
	for _, k := range keys {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%d\n", k.ID, status(k), k.Owner, dash(k.Tenant), k.Environment,
			dash(k.Scopes.String()), day(k.Expires), day(k.LastUsed), k.Uses)
	}
	return w.Flush()
}

func (t *table) end() (err error) {
	switch {
	case !t.c.json:
	case t.start[0] == '[':
		_, err = fmt.Fprintln(t.c.out, "[]")
	default:
		_, err = fmt.Fprintln(t.c.out, "\n]")
	}
	return err
}

func dash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}

func day(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.Format("2006-01-02 15:04")
}

// issue calls make and prints the new secret. It checks the destination of the
// secret first.
func (c *call) issue(make func() (apikey.Issued, error)) error {
	if c.options.out != "" {
		return c.issueTo(c.options.out, make)
	}
	info, err := c.out.Stat()
	if err != nil {
		return err
	}
	switch {
	case info.Mode().IsRegular() && info.Mode().Perm()&0o077 != 0:
		return errors.New("standard output is a file that others can read: use -out")
	case !c.json && info.Mode()&fs.ModeCharDevice == 0:
		return errors.New("standard output: not a terminal: use -json or -out to get the secret")
	}
	issued, err := make()
	if err != nil {
		return err
	}
	if c.json {
		j := toJSON(issued.Key)
		j.Secret = string(issued.Secret.Reveal())
		return c.printJSON(j)
	}
	if err := c.show(issued.Key); err != nil {
		return err
	}
	_, err = fmt.Fprintf(c.out, "\n%s\n\nThe secret cannot be shown again.\n", issued.Secret.Reveal())
	return err
}

// issueTo writes the secret to a new file: an existing one may be readable by
// others, or a link.
func (c *call) issueTo(name string, make func() (apikey.Issued, error)) error {
	file, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600) //nolint:gosec // the operator names the file
	if err != nil {
		return fmt.Errorf("-out: %w", err)
	}
	issued, err := make()
	if err != nil {
		return errors.Join(err, file.Close(), os.Remove(name))
	}
	_, err = fmt.Fprintf(file, "%s\n", issued.Secret.Reveal())
	if err := errors.Join(err, file.Close()); err != nil {
		return fmt.Errorf("-out: created key %s, but lost its secret: %w", issued.Key.ID, err)
	}
	return c.show(issued.Key)
}
