// Which key record i has, and its position among the records of that key; the same as loadgen/src/keys.rs. The key
// follows from (seed, worker, i) alone. Zipf draws from an alias table (Walker 1977, built as Vose 1991).
//
// Exactness: uniform and round-robin are whole numbers. The zipf table is made of doubles; math.Pow and the powf of Rust's
// libm may differ in the last bit of a weight. That moves a threshold by 1 of 2^32 for about one column in a million, and a
// key by far less than one in 10^12 records; generator_test.go holds a table against Rust's.

package main

import (
	"fmt"
	"math"
)

// maxKeys is the most distinct keys of one worker.
const maxKeys = 1 << 24

// keyChooser chooses keys for the records of one worker incarnation, in order of their indexes.
type keyChooser struct {
	random random
	law    string
	count  uint64
	slots  []slot
	// sequences has the next sequence of each key, where it has no closed form.
	sequences []uint32
}

// slot is one column of the alias table: its own key below the threshold, another key from there on.
type slot struct {
	threshold, other uint32
}

// newKeyChooser is ready for record first: what earlier incarnations used up is counted (some ns a record).
func newKeyChooser(keys Keys, seed uint64, worker uint16, first uint64) (*keyChooser, error) {
	chooser := &keyChooser{random: newRandom(seed, worker, streamKey), law: keys.Distribution, count: keys.Count}
	drawn := keys.Distribution == keysUniform || keys.Distribution == keysZipf
	if drawn && keys.Count > maxKeys || keys.Distribution != keysNone && keys.Count == 0 {
		return nil, fmt.Errorf("%d keys: give 1 to %d", keys.Count, maxKeys)
	}
	if keys.Distribution == keysZipf {
		if !(keys.Exponent >= 0) || math.IsInf(keys.Exponent, 0) {
			return nil, fmt.Errorf("zipf exponent %v: give 0 (uniform) or more", keys.Exponent)
		}
		chooser.slots = aliasTable(keys.Count, keys.Exponent)
	}
	if drawn {
		chooser.sequences = make([]uint32, keys.Count)
		for i := uint64(0); i < first; i++ {
			chooser.choose(i)
		}
	}
	return chooser, nil
}

// choose gives key number (keyed false: none) and sequence of record i. To be called once for each index, without gaps.
func (c *keyChooser) choose(i uint64) (key uint64, keyed bool, sequence uint32) {
	switch c.law {
	case keysNone:
		return 0, false, uint32(i)
	case keysRoundRobin:
		return i % c.count, true, uint32(i / c.count)
	case keysUniform:
		key = below(c.random.at(i), c.count)
	case keysZipf:
		// The column comes from the upper bits, the side of the threshold from the lower half.
		uniform := c.random.at(i)
		key = below(uniform, c.count)
		if slot := c.slots[key]; uint32(uniform) >= slot.threshold {
			key = uint64(slot.other)
		}
	}
	sequence = c.sequences[key]
	c.sequences[key]++
	return key, true, sequence
}

// aliasTable makes columns of equal weight, each shared by at most two keys; key k (from 0) weighs 1 / (k + 1)^exponent.
func aliasTable(count uint64, exponent float64) []slot {
	weights := make([]float64, count)
	sum := 0.0
	for k := range weights {
		weights[k] = math.Pow(float64(k+1), -exponent)
		sum += weights[k]
	}
	mean := sum / float64(count)
	slots := make([]slot, count)
	var small, large []uint32
	for k := range weights {
		weights[k] /= mean
		slots[k] = slot{threshold: math.MaxUint32, other: uint32(k)}
		if weights[k] < 1.0 {
			small = append(small, uint32(k))
		} else {
			large = append(large, uint32(k))
		}
	}
	for len(small) > 0 && len(large) > 0 {
		little, much := small[len(small)-1], large[len(large)-1]
		small = small[:len(small)-1]
		weight := weights[little]
		slots[little] = slot{threshold: uint32(weight * (1 << 32)), other: much}
		weights[much] -= 1.0 - weight
		if weights[much] < 1.0 {
			large = large[:len(large)-1]
			small = append(small, much)
		}
	}
	return slots
}
