// SPDX-License-Identifier: Apache-2.0

package gatetessera_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"log"
	"os"
	"strings"
	"time"

	"github.com/transparency-dev/tessera"
	"github.com/transparency-dev/tessera/storage/posix"
	"golang.org/x/mod/sumdb/note"

	"github.com/gatehouse-go/gatehouse"
	gatetessera "github.com/gatehouse-go/gatehouse/adapter/tessera"
	"github.com/gatehouse-go/gatehouse/audit"
)

// Events in a log of files, which any web server can serve to auditors and witnesses.
func Example() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	dir, err := os.MkdirTemp("", "example") // in production a persistent one, such as /var/lib/acme
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	secret, _, err := note.GenerateKey(rand.Reader, "api.example.com/audit") // in production one key for the log
	if err != nil {
		log.Fatal(err)
	}
	signer, err := note.NewSigner(secret)
	if err != nil {
		log.Fatal(err)
	}

	driver, err := posix.New(ctx, posix.Config{Path: dir})
	if err != nil {
		log.Fatal(err)
	}
	appender, shutdown, reader, err := tessera.NewAppender(ctx, driver, tessera.NewAppendOptions().
		WithCheckpointSigner(signer).
		WithCheckpointInterval(time.Second).
		WithBatching(256, 10*time.Millisecond)) // a request waits up to 10 ms for others
	if err != nil {
		log.Fatal(err)
	}
	trail, err := gatetessera.New(gatetessera.Config{Add: appender.Add})
	if err != nil {
		log.Fatal(err)
	}
	recorder, err := audit.NewRecorder(trail, 0) // the observer of gatehouse.Config
	if err != nil {
		log.Fatal(err)
	}

	err = recorder.Observe(ctx, gatehouse.Event{Type: "report_deleted", Principal: gatehouse.Principal{Subject: "alice"}})
	if err != nil {
		log.Fatal(err)
	}
	if err := shutdown(ctx); err != nil { // waits until a checkpoint signs all records
		log.Fatal(err)
	}
	checkpoint, err := reader.ReadCheckpoint(ctx)
	if err != nil {
		log.Fatal(err)
	}
	lines := strings.Split(string(checkpoint), "\n")
	fmt.Println(lines[0], lines[1])
	// Output: api.example.com/audit 1
}
