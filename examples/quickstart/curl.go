// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/gatehouse-go/gatehouse/authtest"
)

const invitation = `
The API goes on until you press Ctrl-C, and logs here. Paste these into another
shell, where they are good for an hour,

TOKEN='%s'
KEY='%s'

and then any of what follows.
`

// printCurl prints a token, a key, and what to try with them. There are no
// comments behind the commands, since not every shell takes them.
func (c *cast) printCurl(ctx context.Context, out io.Writer, url string) error {
	key, err := c.makeKey(ctx, "you")
	if err != nil {
		return err
	}
	token := c.issuer.Token(authtest.Claims{
		"sub": "you", "tenant": "acme", "scope": "reports:read", "exp": in(time.Hour),
	})
	fmt.Fprintf(out, invitation, token, key.Secret.Reveal())
	for _, group := range []struct {
		answer string
		tries  [][]string // path and header
	}{
		{"200, you are in", [][]string{
			{"/whoami", "Authorization: Bearer $TOKEN"},
			{"/whoami", "X-API-Key: $KEY"},
			{"/tenants/acme/reports", "Authorization: Bearer $TOKEN"},
		}},
		{"401, nobody knows you", [][]string{
			{"/whoami"},
			{"/whoami", "Authorization: Bearer ${TOKEN}A"},
		}},
		{"403, this is not for you", [][]string{
			{"/tenants/globex/reports", "Authorization: Bearer $TOKEN"},
			{"/reports", "X-API-Key: ${KEY}A"},
		}},
	} {
		fmt.Fprintf(out, "\n%s:\n\n", group.answer)
		for _, try := range group.tries {
			fmt.Fprintf(out, "curl -i %s%s", url, try[0])
			if len(try) > 1 {
				fmt.Fprintf(out, " -H %q", try[1])
			}
			fmt.Fprintln(out)
		}
	}
	return nil
}
