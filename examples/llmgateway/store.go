// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"strings"

	"github.com/gatehouse-go/gatehouse/store"
)

// openStore opens a database. Its errors name the field of the configuration.
func openStore(field string, c store.Config) (*store.DB, error) {
	db, err := store.Open(c)
	if err != nil {
		return nil, errors.New(strings.NewReplacer("store: Config.Driver", field+".driver", "store: Config.DSN", field+".dsn").Replace(err.Error()))
	}
	return db, nil
}
