// SPDX-License-Identifier: Apache-2.0

// Resourceserver is an API that is protected by Gatehouse: the app to copy.
//
//	go run ./examples/resourceserver -config FILE
//
// It takes the access tokens of the configured issuers and, if configured, API
// keys. README.md beside it has the configuration and the routes.
//
// What a copy keeps is the shape: the routes that need nobody stand outside the
// gate, all others behind it, and each says next to its path what it requires.
// It speaks plain HTTP, so put TLS in front of it wherever it is not alone.
package main
