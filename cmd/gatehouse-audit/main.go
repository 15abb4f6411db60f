// SPDX-License-Identifier: Apache-2.0

// Command gatehouse-audit verifies the logs of package audit.
//
//	gatehouse-audit verify -key FILE [-kept CHECKPOINT] LOG
//	gatehouse-audit prove  -key FILE -record N LOG > FILE.tlog-proof
//	gatehouse-audit check  -key FILE -proof FILE.tlog-proof < RECORD
//
// The key is a PEM file with the public key of the log (PKIX), or with its private key
// (PKCS #8): then only the public half is used. verify prints the number of records and
// exits with status 0, or names the first record that was changed and exits with status
// 1. The file of -kept has one checkpoint: from a witness, or copied from LOG.checkpoints
// without the empty line after it. The last one is
//
//	tail -n 6 LOG.checkpoints | head -n 5
//
// Records are numbered from 0: record N is line N+1 of a log in one file.
package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"

	"github.com/gatehouse-go/gatehouse/audit"
)

func main() {
	if err := run(os.Args[1:], os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "gatehouse-audit:", err)
		if errors.Is(err, errUsage) {
			os.Exit(2)
		}
		os.Exit(1)
	}
}

var errUsage = errors.New("usage: gatehouse-audit verify|prove|check -key FILE …; see go doc github.com/gatehouse-go/gatehouse/cmd/gatehouse-audit")

func run(args []string, stdin io.Reader, stdout io.Writer) error {
	if len(args) == 0 {
		return errUsage
	}
	flags := flag.NewFlagSet(args[0], flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	keyFile := flags.String("key", "", "")
	kept := flags.String("kept", "", "")
	number := flags.Int64("record", -1, "")
	proofFile := flags.String("proof", "", "")
	if err := flags.Parse(args[1:]); err != nil || *keyFile == "" {
		return errUsage
	}
	key, err := audit.ReadPublicKey(*keyFile)
	if err != nil {
		return err
	}
	switch {
	case args[0] == "verify" && flags.NArg() == 1:
		var checkpoints [][]byte
		if *kept != "" {
			text, err := os.ReadFile(*kept) //nolint:gosec // the operator names the file
			if err != nil {
				return err
			}
			checkpoints = append(checkpoints, text)
		}
		report, err := audit.Verify(flags.Arg(0), key, checkpoints...)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(stdout, "%d records of %s, %d signed\n", report.Records, report.Origin, report.Signed)
		return err
	case args[0] == "prove" && flags.NArg() == 1:
		proof, err := audit.Prove(flags.Arg(0), key, *number)
		if err != nil {
			return err
		}
		_, err = stdout.Write(proof)
		return err
	case args[0] == "check" && flags.NArg() == 0:
		proof, err := os.ReadFile(*proofFile) //nolint:gosec // the operator names the file
		if err != nil {
			return err
		}
		record, err := io.ReadAll(io.LimitReader(stdin, audit.MaxRecord+1))
		if err != nil {
			return err
		}
		n, origin, err := audit.CheckProof(proof, bytes.TrimSuffix(record, []byte("\n")), key)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(stdout, "record %d of %s\n", n, origin)
		return err
	}
	return errUsage
}
