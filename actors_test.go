// SPDX-License-Identifier: Apache-2.0

package gatehouse_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/gatehouse-go/gatehouse"
)

func TestActors(t *testing.T) {
	chain := []gatehouse.Actor{{Subject: "agent", Issuer: "https://a.example", Client: "c"}, {Subject: "desk"}}
	actors := gatehouse.NewActors(chain...)
	chain[0].Subject = "evil" // of no effect any more
	if current, ok := actors.Current(); !ok || current != (gatehouse.Actor{Subject: "agent", Issuer: "https://a.example", Client: "c"}) {
		t.Errorf("%+v, %v", current, ok)
	}
	for range 2 {
		all := slices.Collect(actors.All())
		if actors.Len() != 2 || fmt.Sprint(all) != "[{agent https://a.example c} {desk  }]" {
			t.Errorf("%d: %v", actors.Len(), all)
		}
		all[0].Subject = "evil" // the caller's own
	}
	if current, ok := (gatehouse.Actors{}).Current(); ok || current != (gatehouse.Actor{}) {
		t.Errorf("%+v, %v", current, ok)
	}
}
