// Beam search over the graphs of an export, as seq2seq/decoding/beam.py does it, for one source.

/**
 * Return the hypotheses with the highest Σ log p / length, best first, as { tokens, total, score,
 * finished, weights }. `weights` has one row of attention for each token, and for the end.
 *
 * step: a function (tokens, state) that resolves to { log, weights, state } with one row of
 *   log-probabilities for each token.
 * select: a function (state, rows) that returns the state of these rows.
 */
export async function beamSearch({ step, select, state, maximum, beam, best, vocabulary }) {
  const { bos, eos, forbidden } = vocabulary;
  let live = [{ total: 0, token: bos, before: null }];
  let pool = [];
  for (let length = 1; length <= maximum; length += 1) {
    const after = await step(live.map((one) => one.token), state);
    if (length > 1) {
      const ended = live.map((one, row) => {
        const total = one.total + after.log[row][eos];
        return { path: one, total, score: total / length, end: after.weights?.[row], finished: true };
      });
      pool = merge(pool, ended, best);
    }
    const { next, parents } = extend(live, after, beam, new Set([...forbidden, eos]));
    if (length === maximum && !pool.length) {
      const cut = next.map((path) => ({ path, total: path.total, score: path.total / length }));
      pool = merge(pool, cut, best);
    }
    const bound = next[0].total / maximum;
    if (length === maximum || (pool.length === best && bound <= pool[best - 1].score)) break;
    live = next;
    state = select(after.state, parents);
  }
  return pool.map(read);
}

/** Return the `best` best candidates. In a tie, the older one is better. */
function merge(pool, candidates, best) {
  return [...pool, ...candidates].sort((a, b) => b.score - a.score).slice(0, best);
}

/** Return the best continuations. In a tie, the lower parent and then the lower token is better. */
function extend(live, { log, weights }, beam, masked) {
  const candidates = live.flatMap((one, row) =>
    top(log[row], beam, masked).map((token) => ({ row, token, total: one.total + log[row][token] })),
  );
  const kept = candidates.sort((a, b) => b.total - a.total).slice(0, beam);
  const next = kept.map(({ row, token, total }) => ({
    total,
    token,
    weights: weights?.[row],
    before: live[row],
  }));
  return { next, parents: kept.map(({ row }) => row) };
}

/** Return the ids of the largest values, in the order of the ids. */
function top(values, count, masked) {
  const best = []; // sorted, the largest value first
  for (let id = 0; id < values.length; id += 1) {
    if (best.length === count && values[id] <= values[best[count - 1]]) continue;
    if (masked.has(id)) continue;
    let at = best.length;
    while (at > 0 && values[id] > values[best[at - 1]]) at -= 1;
    best.splice(at, 0, id);
    if (best.length > count) best.pop();
  }
  return best.sort((a, b) => a - b);
}

function read({ path, total, score, end, finished = false }) {
  const tokens = [];
  const weights = end ? [end] : [];
  for (let one = path; one.before; one = one.before) {
    tokens.unshift(one.token);
    if (one.weights) weights.unshift(one.weights);
  }
  return { tokens, total, score, finished, weights: weights.length ? weights : null };
}
