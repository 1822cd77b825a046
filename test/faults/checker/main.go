// Checks a history of calls to a hosted cluster's API for linearizability, key by key: whether there is one order of all
// calls that fits what each was answered and when. The history comes as JSON lines on standard input, an operation a
// line (test/faults/history.ts); what was found goes to standard output as one JSON object.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"sort"
	"time"

	"github.com/anishathalye/porcupine"
)

// operation is one call. Times are microseconds of one clock.
type operation struct {
	Client int    `json:"client"`
	Key    string `json:"key"`
	// put, get or delete.
	Kind string `json:"kind"`
	// What was put, or what get answered; empty for an object that is not there. No value is put twice.
	Value string `json:"value"`
	// Whether the object was there just before, by the answer.
	Found bool  `json:"found"`
	Call  int64 `json:"call"`
	// 0 when no answer came: the call may have been acted on, at any time after it began, or not at all.
	Return int64 `json:"return"`
}

// verdict names keys. Lost, stale and resurrected say what a read shows by itself; broken is whatever has no order.
type verdict struct {
	Operations  int      `json:"operations"`
	Unanswered  int      `json:"unanswered"`
	Keys        int      `json:"keys"`
	Lost        []string `json:"lost"`
	Stale       []string `json:"stale"`
	Resurrected []string `json:"resurrected"`
	Broken      []string `json:"broken"`
	// Keys whose history was too tangled to be judged in the time given.
	Undecided []string `json:"undecided"`
}

// object is one key: its value, or "" while it is not there. A write without an answer has no end, so it may take effect
// after everything else, which is the same as never.
var object = porcupine.Model{
	Init: func() any { return "" },
	Step: func(state, input, _ any) (bool, any) {
		op, there := input.(operation), state.(string) != ""
		fits := op.Return == 0 || op.Found == there
		switch op.Kind {
		case "put":
			return fits, op.Value
		case "delete":
			return fits, ""
		default:
			return op.Value == state.(string), state
		}
	},
	Equal: func(a, b any) bool { return a == b },
}

func end(op operation) int64 {
	if op.Return == 0 {
		return math.MaxInt64
	}
	return op.Return
}

// wrong says what a read shows that no order of the writes explains: "" for nothing, otherwise lost, stale or
// resurrected. writes are those of the read's key.
func wrong(read operation, writes []operation, reads []operation) string {
	// Before the first call nothing is there, as after a delete.
	sources := []operation{}
	if read.Value == "" {
		sources = append(sources, operation{Kind: "delete", Call: -2, Return: -1})
	}
	for _, write := range writes {
		if write.Call < read.Return && (write.Kind == "delete") == (read.Value == "") && write.Value == read.Value {
			sources = append(sources, write)
		}
	}
	if len(sources) == 0 {
		return ""
	}
	var over []operation
	for _, source := range sources {
		later := between(source, read, writes)
		if len(later) == 0 {
			return ""
		}
		over = later
	}
	if read.Value != "" {
		for _, write := range over {
			if write.Kind == "delete" {
				return "resurrected"
			}
		}
	}
	for _, other := range reads {
		if other.Call > read.Return && other.Value != read.Value {
			return "stale"
		}
	}
	return "lost"
}

// between returns the acknowledged writes that began after the source had ended and ended before the read began.
func between(source, read operation, writes []operation) []operation {
	var found []operation
	for _, write := range writes {
		if write.Return != 0 && write.Call > end(source) && write.Return < read.Call {
			found = append(found, write)
		}
	}
	return found
}

func check(history []operation, limit time.Duration) verdict {
	byKey := map[string][]operation{}
	result := verdict{
		Operations: len(history),
		Lost:       []string{}, Stale: []string{}, Resurrected: []string{}, Broken: []string{}, Undecided: []string{},
	}
	for _, op := range history {
		if op.Return == 0 {
			result.Unanswered++
			if op.Kind == "get" {
				continue
			}
		}
		byKey[op.Key] = append(byKey[op.Key], op)
	}
	result.Keys = len(byKey)
	for key, operations := range byKey {
		var events []porcupine.Operation
		var reads, writes []operation
		for _, op := range operations {
			events = append(events, porcupine.Operation{ClientId: op.Client, Input: op, Call: op.Call, Return: end(op)})
			if op.Kind == "get" {
				reads = append(reads, op)
			} else {
				writes = append(writes, op)
			}
		}
		seen := map[string]bool{}
		for _, read := range reads {
			seen[wrong(read, writes, reads)] = true
		}
		for _, list := range []struct {
			name string
			keys *[]string
		}{{"lost", &result.Lost}, {"stale", &result.Stale}, {"resurrected", &result.Resurrected}} {
			if seen[list.name] {
				*list.keys = append(*list.keys, key)
			}
		}
		switch porcupine.CheckOperationsTimeout(object, events, limit) {
		case porcupine.Illegal:
			result.Broken = append(result.Broken, key)
		case porcupine.Unknown:
			result.Undecided = append(result.Undecided, key)
		}
	}
	for _, keys := range [][]string{result.Lost, result.Stale, result.Resurrected, result.Broken, result.Undecided} {
		sort.Strings(keys)
	}
	return result
}

func main() {
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<20)
	var history []operation
	for lines.Scan() {
		var op operation
		if err := json.Unmarshal(lines.Bytes(), &op); err != nil {
			fmt.Fprintf(os.Stderr, "line %d: %v\n", len(history)+1, err)
			os.Exit(2)
		}
		history = append(history, op)
	}
	if err := lines.Err(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	if err := json.NewEncoder(os.Stdout).Encode(check(history, 20*time.Second)); err != nil {
		os.Exit(2)
	}
}
