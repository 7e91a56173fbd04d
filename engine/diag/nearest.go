package diag

import "strings"

// Nearest returns the known word that a misspelled word was most likely meant to be, or
// "" if no known word is close. It prefers a known word that differs in only a few
// letters. If there is none, it splits the words at each '_', and looks for a known word
// that contains all parts of the misspelled word, or that consists of some of them,
// preferably one that begins with the misspelled word. It ignores case and the difference
// between '-' and '_'.
func Nearest(word string, known []string) string {
	norm := func(s string) string { return strings.ReplaceAll(strings.ToLower(s), "-", "_") }
	w := norm(word)
	best, bestDist := "", 1+min(3, max(1, len([]rune(w))/3))
	for _, k := range known {
		if d := distance(w, norm(k)); d < bestDist {
			best, bestDist = k, d
		}
	}
	if best != "" {
		return best
	}
	for _, k := range known {
		n := norm(k)
		if len(w) <= 3 || len(n) <= 3 || !partOf(w, n) && !partOf(n, w) {
			continue
		}
		switch begins, bestBegins := strings.HasPrefix(n, w), strings.HasPrefix(norm(best), w); {
		case best == "", begins && !bestBegins, begins == bestBegins && len(k) < len(best):
			best = k
		}
	}
	return best
}

// partOf reports whether the parts of a occur in b, next to each other and in the same
// order.
func partOf(a, b string) bool { return strings.Contains("_"+b+"_", "_"+a+"_") }

// DidYouMean returns `did you mean "x"?` for the nearest known word, or "".
func DidYouMean(word string, known []string) string {
	if n := Nearest(word, known); n != "" && n != word {
		return `did you mean "` + n + `"?`
	}
	return ""
}

// distance returns the Damerau-Levenshtein distance: the number of insertions, deletions,
// substitutions and swaps of neighboring letters. It truncates long words, because nobody
// misspells hundreds of characters.
func distance(a, b string) int {
	ra, rb := []rune(a), []rune(b)
	ra, rb = ra[:min(len(ra), 64)], rb[:min(len(rb), 64)]
	prev2, prev, cur := make([]int, len(rb)+1), make([]int, len(rb)+1), make([]int, len(rb)+1)
	for j := range prev {
		prev[j] = j
	}
	for i := 1; i <= len(ra); i++ {
		cur[0] = i
		for j := 1; j <= len(rb); j++ {
			cost := 1
			if ra[i-1] == rb[j-1] {
				cost = 0
			}
			cur[j] = min(prev[j]+1, cur[j-1]+1, prev[j-1]+cost)
			if i > 1 && j > 1 && ra[i-1] == rb[j-2] && ra[i-2] == rb[j-1] {
				cur[j] = min(cur[j], prev2[j-2]+1)
			}
		}
		prev2, prev, cur = prev, cur, prev2
	}
	return prev[len(rb)]
}
