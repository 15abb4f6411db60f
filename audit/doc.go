// SPDX-License-Identifier: Apache-2.0

// Package audit writes events to a log. Verification finds every later change of the
// log.
//
// A [Log] is a [gatehouse.Observer]. It appends each event as one line of JSON to a file
// and waits until the line is on the disk. Over the lines it keeps a Merkle tree (RFC
// 6962 section 2.1) and signs the root of the tree at intervals. The signed roots are
// checkpoints in the formats of the C2SP project: signed-note and tlog-checkpoint.
// [Verify] reads the log once and finds the first record that was changed, removed,
// inserted or moved. [Prove] returns a proof, in the format tlog-proof, that one record
// is in the log. [CheckProof] checks it with the record and the public key, without the
// log.
//
// # Files
//
//	audit.jsonl              the records, one JSON object in each line
//	audit.jsonl.00000…       earlier records, named by the number of their first record
//	audit.jsonl.hashes       the hashes of the tree, 64 bytes for each record
//	audit.jsonl.checkpoints  the signed checkpoints, oldest first
//
// The hashes can be computed from the records. They locate a changed record; the
// checkpoints prove that it was changed. An attacker who can write all files and has no
// key can hide a change only by removing everything since an earlier checkpoint. To
// detect that too, copy checkpoints to another machine, or have a [Witness] sign them,
// and pass one to Verify. The member mac of a record protects the records that no
// checkpoint signs yet. Its key is derived from the key of the log: Open refuses a log
// with a record that was not written with this key.
//
// # Other places
//
// A [Recorder] writes the same JSON to an [Appender]: a table of a database, with Audit
// of store/sqlstore, or a transparency log, with the module adapter/tessera. In a table a
// [Sealer] adds the member mac to each record, with which VerifyRecords finds the first
// changed record. [SignRecords] creates the checkpoints of a table and [VerifyRecords]
// checks them. A table has no stored hashes, and no proof for one record.
//
// # What a record contains
//
// A record has the fields of [gatehouse.Event], which contains no credential, no
// body and no prompt text. Attributes are in the member attrs. Text of the client
// is truncated to 1,024 bytes.
package audit
