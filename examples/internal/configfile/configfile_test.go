// SPDX-License-Identifier: Apache-2.0

package configfile_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/gatehouse-go/gatehouse/examples/internal/configfile"
)

type base struct {
	Addr   string `json:"addr"`
	Secret string `json:"client_secret"`
}

type algorithm string

type file struct {
	base
	Idle  string   `json:"idle" example:"15m"`
	Keys  []string `json:"cookie_keys" example:"env:NAME"`
	Names []string `json:"names"`
	Store struct {
		DSN string `json:"dsn"`
	} `json:"store" example:"{\"dsn\": \"a.db\"}"`
	Other   *struct{ base } `json:"other"`
	Issuers []struct {
		Algorithms []algorithm `json:"algorithms"`
	} `json:"issuers"`
}

func read(t *testing.T, text string) (file, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "config.json")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	var f file
	return f, configfile.Read(path, &f)
}

// TestRead holds what is said of a bad file, word by word.
func TestRead(t *testing.T) {
	for text, want := range map[string]string{
		// Names.
		`{"debug":1}`:                            `unknown field "debug"`,
		`{"client_secert":"","adr":"","idle":0}`: "unknown field \"client_secert\": did you mean \"client_secret\"?\nunknown field \"adr\": did you mean \"addr\"?\nidle: has to be a string such as \"15m\"",
		`{"clientSecret":""}`:                    `unknown field "clientSecret": did you mean "client_secret"?`,
		`{"ADDR":""}`:                            `unknown field "ADDR": did you mean "addr"?`,
		`{"clientsecrets":""}`:                   `unknown field "clientsecrets": did you mean "client_secret"?`,
		`{"clientsecretss":""}`:                  `unknown field "clientsecretss"`,
		`{"100%d":""}`:                           `unknown field "100%d"`,
		`{"":""}`:                                `unknown field ""`,
		`{"base":{}}`:                            `unknown field "base"`,
		`{"store":{"dns":"a"}}`:                  `store: unknown field "dns": did you mean "dsn"?`,
		`{"issuers":[{},{"algorithm":[]}]}`:      `issuers[1]: unknown field "algorithm": did you mean "algorithms"?`,
		`{"addr":"a","\u0061ddr":"b"}`:           `field "addr" is there twice`,
		`{"debug":"a","debug":"b"}`:              "unknown field \"debug\"\nfield \"debug\" is there twice",
		`{"store":{"dsn":"a","dsn":"b"}}`:        `store: field "dsn" is there twice`,

		// Types.
		`{"addr":8080}`:                   `addr: has to be a string`,
		`{"addr":["a"]}`:                  `addr: has to be a string`,
		`{"idle":15}`:                     `idle: has to be a string such as "15m"`,
		`{"idle":true}`:                   `idle: has to be a string such as "15m"`,
		`{"cookie_keys":"env:KEY"}`:       `cookie_keys: has to be a list: ["env:NAME"]`,
		`{"cookie_keys":{"a":"b"}}`:       `cookie_keys: has to be a list: ["env:NAME"]`,
		`{"cookie_keys":["a",1,["b"]]}`:   "cookie_keys[1]: has to be a string\ncookie_keys[2]: has to be a string",
		`{"names":"a"}`:                   `names: has to be a list of strings`,
		`{"store":"memory"}`:              `store: has to be an object: {"dsn": "a.db"}`,
		`{"other":[]}`:                    `other: has to be an object`,
		`{"other":{"addr":1e999}}`:        `other.addr: has to be a string`,
		`{"issuers":{}}`:                  `issuers: has to be a list of objects`,
		`{"issuers":["a"]}`:               `issuers[0]: has to be an object`,
		`{"issuers":[{"algorithms":""}]}`: `issuers[0].algorithms: has to be a list of strings`,
		` [] `:                            `has to be an object`,
		`"a"`:                             `has to be an object`,

		// JSON.
		"":                                `line 1, column 1: not JSON: unexpected end of JSON input`,
		"{\n  \"addr\": \"a\"\n":          `line 3, column 1: not JSON: unexpected end of JSON input`,
		"{\n  \"addr\": \"a\",\n}":        `line 3, column 1: not JSON: invalid character '}' looking for beginning of object key string`,
		"{\"addr\":\"ä\" 1}":              `line 1, column 13: not JSON: invalid character '1' after object key:value pair`,
		"{\"addr\":\"a\"\n, // a\n}":      `line 2, column 3: not JSON: invalid character '/' looking for beginning of object key string`,
		"addr: a":                         `line 1, column 1: not JSON: invalid character 'a' looking for beginning of value`,
		"{}\n {}":                         `line 2, column 2: there is something behind the end`,
		`{"addr":"a"} }`:                  `line 1, column 14: there is something behind the end`,
		"{\"addr\":\"a\n\"}":              `line 1, column 11: not JSON: invalid character '\n' in string literal`,
		"{\"debug\":1,\n\"addr\": a\n}\n": `line 2, column 9: not JSON: invalid character 'a' looking for beginning of value`,
	} {
		if _, err := read(t, text); err == nil || err.Error() != want {
			t.Errorf("%s\ngives:\n%v\nwant:\n%s", text, err, want)
		}
	}
	f, err := read(t, `{"addr":"a","cookie_keys":["b"],"idle":null,"other":{"client_secret":"c"},"store":{"dsn":"d"},"issuers":[{"algorithms":["e"]}]}`+"\n")
	if err != nil || f.Addr != "a" || f.Keys[0] != "b" || f.Other.Secret != "c" || f.Store.DSN != "d" || f.Issuers[0].Algorithms[0] != "e" {
		t.Errorf("a good one gives %+v, %v", f, err)
	}
	if err := configfile.Read(filepath.Join(t.TempDir(), "none"), &f); err == nil || err.Error() != "no such file or directory" {
		t.Errorf("no file gives %v", err)
	}
}

// TestJoin holds that nothing is said twice, and nothing is lost.
func TestJoin(t *testing.T) {
	err := configfile.Join(nil, errors.New("a: 1\na: 2"), nil, errors.New("b: 3\na: 4"), errors.New("b: 5\nc: 6\nab: 7"))
	if want := "a: 1\na: 2\nb: 3\nc: 6\nab: 7"; err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
	if err := configfile.Join(nil, nil); err != nil {
		t.Error(err)
	}
}

func TestCheckAddr(t *testing.T) {
	for addr, good := range map[string]bool{
		"127.0.0.1:0": true, ":8080": true, "[::1]:8080": true, "localhost:65535": true,
		"": false, "127.0.0.1": false, "127.0.0.1:": false, "127.0.0.1:65536": false, "a:0:0": false, "::1:80": false, "a:-1": false,
	} {
		if err := configfile.CheckAddr(addr); (err == nil) != good {
			t.Errorf("%q: %v", addr, err)
		}
	}
}
