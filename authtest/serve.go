// SPDX-License-Identifier: Apache-2.0

package authtest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"sync/atomic"
)

// handler serves the key set and the two kinds of metadata.
func (i *Issuer) handler() http.Handler {
	mux := http.NewServeMux()
	path := i.config.Path
	keys := i.endpoint(&i.keyFetches, &i.keyFault, func() []byte { return i.KeySet() })
	metadata := i.endpoint(&i.metadataFetches, &i.metadataFault, func() []byte { return i.metadata() })
	mux.Handle("GET "+path+"/jwks.json", keys)
	// OpenID Connect Discovery §4 appends the well-known string to the issuer;
	// RFC 8414 §3.1 inserts it between host and path, and §5 lets OpenID
	// providers do so too.
	mux.Handle("GET "+path+"/.well-known/openid-configuration", metadata)
	mux.Handle("GET /.well-known/oauth-authorization-server"+path, metadata)
	if path != "" {
		mux.Handle("GET /.well-known/openid-configuration"+path, metadata)
	}
	mux.HandleFunc("GET "+attackerPath+"{name}", func(w http.ResponseWriter, r *http.Request) {
		i.mu.Lock()
		i.fetched = append(i.fetched, r.PathValue("name"))
		i.mu.Unlock()
		writeJSON(w, []byte(`{"keys":[`+i.attackerJWK().String()+`]}`))
	})
	return mux
}

// endpoint serves a document, or its fault.
func (i *Issuer) endpoint(fetches *atomic.Int64, fault *Fault, document func() []byte) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fetches.Add(1)
		i.mu.Lock()
		broken := *fault
		i.mu.Unlock()
		if broken != nil {
			broken(w, r, document())
			return
		}
		writeJSON(w, document())
	})
}

func writeJSON(w http.ResponseWriter, document []byte) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_, _ = w.Write(document)
}

// metadata is the document of RFC 8414 section 2 and of OpenID Connect Discovery
// section 3.
func (i *Issuer) metadata() []byte {
	document, err := json.Marshal(map[string]any{
		"issuer":                                i.URL,
		"jwks_uri":                              i.KeysURL,
		"authorization_endpoint":                i.URL + "/authorize",
		"token_endpoint":                        i.URL + "/token",
		"response_types_supported":              []string{"code"},
		"subject_types_supported":               []string{"public"},
		"id_token_signing_alg_values_supported": i.Algorithms,
		"code_challenge_methods_supported":      []string{"S256"},
	})
	if err != nil {
		panic(fmt.Errorf("authtest: metadata: %w", err))
	}
	return document
}

// KeyFetches returns the number of requests for the key set.
func (i *Issuer) KeyFetches() int { return int(i.keyFetches.Load()) }

// MetadataFetches returns the number of requests for the metadata documents.
func (i *Issuer) MetadataFetches() int { return int(i.metadataFetches.Load()) }
