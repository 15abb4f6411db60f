// SPDX-License-Identifier: Apache-2.0

// Package gateotel reports the decisions, stores, caches and key sets of gatehouse as
// OpenTelemetry metrics and span attributes.
//
//	telemetry, err := gateotel.New(gateotel.Config{MeterProvider: provider, Observer: gatehouse.Log(logger)})
//	tokens, err := jwtauth.New(jwtauth.Config{Observer: telemetry, ...})
//	keys, err := apikey.New(apikey.Config{Observer: telemetry, Store: telemetry.APIKeys(store.APIKeys()), ...})
//	telemetry.WatchTokens(tokens)
//	telemetry.WatchKeys(keys)
//	gate, err := gatehouse.New(gatehouse.Config{Observer: telemetry, ...})
//
// The metrics, their names in Prometheus, and their attributes, which have the prefix
// gatehouse:
//
//	gatehouse.decisions           counter         gatehouse_decisions_total            event.type, decision, reason, level
//	gatehouse.decision.duration   histogram, s    gatehouse_decision_duration_seconds  event.type, decision
//	gatehouse.events              counter         gatehouse_events_total               event.type, reason, level
//	gatehouse.store.duration      histogram, s    gatehouse_store_duration_seconds     store, operation; error.type
//	gatehouse.cache.lookups       counter         gatehouse_cache_lookups_total        cache, result
//	gatehouse.key_set.age         gauge, s        gatehouse_key_set_age_seconds        issuer
//	gatehouse.key_set.keys        gauge           gatehouse_key_set_keys               issuer
//	gatehouse.key_set.fetches     counter         gatehouse_key_set_fetches_total      issuer, result
//
// Decisions are the events with a Decision, and events all others. A request can cause
// several decisions: the gate allows it, and a budget behind the gate refuses it. The
// attribute event.type is "decision" for requests; packages such as agent/tool have
// other values.
//
// Callers cannot choose the value of an attribute: reasons and types are constants of the
// program, and issuers come from the configuration. If a program uses other texts as
// reasons, there are at most 1,000 combinations; further ones count as "_OTHER".
//
// A span that records, such as that of otelhttp around the gate, gets the decision as
// attributes and each other event as a span event: see [Telemetry.Observe].
package gateotel
