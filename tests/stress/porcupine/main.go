// SPDX-License-Identifier: Apache-2.0

// Histories that `stress-history --dump=FILE` wrote, checked by Porcupine: a search
// for an order of the operations that respects real time and in which each sees
// what it saw. The model is an array of registers and a length. It shares nothing
// with checker.c but the format; both must agree on every history.
//
//	go run . FILE…
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"time"

	"github.com/anishathalye/porcupine"
)

const (
	kindRead   = 1
	kindAppend = 6
	kindLength = 7
	flagRead   = 1
	flagWrite  = 2
	flagTorn   = 4
	cellsMost  = 64
	patience   = 60 * time.Second
)

type access [4]uint64 // cell, flags, saw, replaced

type op struct {
	ID        uint64
	Kind      int
	Start     int64
	End       int64 // 0: it never returned
	Committed int
	Offset    int64 // append: what it was told; -1: nothing
	Length    int64
	Rows      int64
	Accesses  []access

	at int64 // append: where its rows stand at the end
}

type history struct {
	Name      string
	Fine      bool
	Cells     int
	TailFirst int64    `json:"tail_first"`
	Tail      []uint64 // writer of each appended row, at the end
	TornRows  []int    `json:"torn_rows"`
	Ops       []op
}

// The writer of each cell, and the rows. The cell after the last one is the append
// that wrote the last row.
type array struct {
	cells  [cellsMost]uint64
	length int64
}

// An operation sees what it says, at its instant, and changes what it says.
func (h *history) step(state, input, _ any) (bool, any) {
	s, o := state.(array), input.(*op)
	switch o.Kind {
	case kindLength:
		return o.Length == s.length, s
	case kindAppend:
		if o.at != s.length || (o.Offset >= 0 && o.Offset != s.length) {
			return false, s
		}
		s.length += o.Rows
		s.cells[h.Cells] = o.ID
		return true, s
	}
	for _, a := range o.Accesses {
		if a[1]&flagTorn != 0 ||
			(a[1]&flagRead != 0 && s.cells[a[0]] != a[2]) ||
			(a[1]&flagWrite != 0 && s.cells[a[0]] != a[3]) {
			return false, s
		}
	}
	for _, a := range o.Accesses {
		if a[1]&flagWrite != 0 {
			s.cells[a[0]] = o.ID
		}
	}
	return true, s
}

// Each appended block stands there once and whole; then every append knows where.
func placeAppends(h *history) bool {
	place := map[uint64]int64{}
	byID := map[uint64]*op{}
	for i := range h.Ops {
		byID[h.Ops[i].ID] = &h.Ops[i]
	}
	for at := 0; at < len(h.Tail); {
		id := h.Tail[at]
		o := byID[id]
		if _, again := place[id]; again || o == nil || o.Kind != kindAppend ||
			o.Committed == 0 || at+int(o.Rows) > len(h.Tail) {
			return false
		}
		for k := at; k < at+int(o.Rows); k++ {
			if h.Tail[k] != id || h.TornRows[k] != 0 {
				return false
			}
		}
		place[id] = h.TailFirst + int64(at)
		at += int(o.Rows)
	}
	for _, o := range byID {
		at, there := place[o.ID]
		if o.Kind == kindAppend && o.Committed != 0 && !there {
			return false
		}
		o.at = at
	}
	return true
}

// Who gave up or died before his commit point took no part; a reader who did not
// return saw nothing.
func counts(o *op) bool {
	if o.Kind == kindRead || o.Kind == kindLength {
		return o.End != 0
	}
	return o.Committed != 0
}

func check(h *history) porcupine.CheckResult {
	if !placeAppends(h) {
		return porcupine.Illegal
	}
	var ops []porcupine.Operation
	for i := range h.Ops {
		o := &h.Ops[i]
		end := o.End
		if !counts(o) {
			continue
		}
		if end == 0 {
			end = math.MaxInt64
		}
		ops = append(ops, porcupine.Operation{ClientId: i, Input: o, Call: o.Start, Return: end})
	}
	model := porcupine.Model{
		Init: func() any { return array{length: h.TailFirst} },
		Step: h.step,
	}
	return porcupine.CheckOperationsTimeout(model, ops, patience)
}

func checkFile(name string) (agreed, differed int) {
	f, err := os.Open(name)
	if err != nil {
		fmt.Println(err)
		return 0, 1
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<28)
	for lines.Scan() {
		var h history
		if err := json.Unmarshal(lines.Bytes(), &h); err != nil || h.Cells >= cellsMost {
			fmt.Printf("%s: no history: %v\n", name, err)
			differed++
			continue
		}
		got := check(&h)
		if (got == porcupine.Ok) == h.Fine && got != porcupine.Unknown {
			agreed++
			continue
		}
		fmt.Printf("%s: '%s': Porcupine says %s, ours %v\n", name, h.Name, got, h.Fine)
		differed++
	}
	if err := lines.Err(); err != nil || agreed+differed == 0 {
		fmt.Printf("%s: nothing there: %v\n", name, err)
		differed++
	}
	return agreed, differed
}

func main() {
	agreed, differed := 0, 0
	for _, name := range os.Args[1:] {
		a, d := checkFile(name)
		agreed += a
		differed += d
	}
	fmt.Printf("%d histories: both checkers agree on %d\n", agreed+differed, agreed)
	if differed > 0 || agreed == 0 {
		os.Exit(1)
	}
}
