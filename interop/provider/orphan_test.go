// SPDX-License-Identifier: Apache-2.0

package provider_test

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-go/gatehouse/interop/node"
	"github.com/gatehouse-go/gatehouse/interop/provider"
)

// TestProviderEndsWithKilledTest kills a test process, which runs no cleanup. The
// provider ends too.
func TestProviderEndsWithKilledTest(t *testing.T) {
	const inner = "GATEHOUSE_TEST_INNER"
	if os.Getenv(inner) != "" {
		p := provider.Start(t, provider.Options{})
		fmt.Println("address " + strings.TrimPrefix(p.Issuer, "http://"))
		select {} // until killed
	}
	node.Require(t)
	t.Parallel()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, "-test.run=^TestProviderEndsWithKilledTest$", "-test.timeout=1m")
	cmd.Env = append(os.Environ(), inner+"=1")
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}()
	address := ""
	for lines := bufio.NewScanner(stdout); address == "" && lines.Scan(); {
		if rest, ok := strings.CutPrefix(lines.Text(), "address "); ok {
			address = rest
		}
	}
	connection, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	// The connection lasts as long as the provider does.
	if err := connection.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	if _, err := connection.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the provider outlives the test: %v", err)
	}
}
