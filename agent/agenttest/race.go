// SPDX-License-Identifier: Apache-2.0

package agenttest

import (
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/gatehouse-go/gatehouse/agent"
	"github.com/gatehouse-go/gatehouse/internal/contract"
)

// races are the rules about concurrent calls.
var races = []rule{
	newRule("race of changes", "Each method is atomic: Generation counts the changes.",
		func(s suite) {
			for round := range contract.Rounds {
				id := fmt.Sprint("count", round)
				s.register(id, "acme", "x")
				contract.Together(contract.Racers, func(i int) { s.register(id, "acme", fmt.Sprint(i)) })
				if r := s.find(id); r.Generation != contract.Racers+1 {
					s.Failf("after %d changes at once: Generation = %d, want %d", contract.Racers, r.Generation, contract.Racers+1)
				}
				ended := make([]agent.Record, contract.Racers)
				contract.Together(contract.Racers, func(i int) { ended[i] = s.decommission("acme", id) })
				for _, r := range ended {
					s.same("Decommission at once", r, s.find(id))
				}
			}
		}),
	newRule("race", "Each method is atomic, and a change is visible to every reader before the method returns.",
		func(s suite) {
			for round := range contract.Rounds {
				id := fmt.Sprint("race", round)
				s.register(id, "acme", "x")
				var ended atomic.Bool
				contract.Together(contract.Racers, func(i int) {
					if i == 0 {
						s.decommission("acme", id)
						ended.Store(true)
						return
					}
					for n := range 4 {
						late := ended.Load()
						_, err := s.store.Register(s.Context(), id, "acme", fmt.Append(nil, i, n))
						if err != nil && !errors.Is(err, agent.ErrDecommissioned) || late && err == nil {
							s.Failf("Register after Decommission = %v: error = %v", late, err)
							return
						}
						r, err := s.store.Find(s.Context(), id)
						if err != nil || late && r.Decommissioned.IsZero() {
							s.Failf("Find after Decommission = %v: %+v, %v", late, r, err)
							return
						}
					}
				})
			}
		}),
}
