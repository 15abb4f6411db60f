// Replaces the budgets by new ones every two seconds. The server renders them, so that
// the page is the same without this script.
'use strict';

const pause = 2000; // ms, also the time limit of a request

async function update() {
  const state = document.getElementById('state');
  try {
    const response = await fetch('/spend', {
      headers: { Accept: 'text/html' }, redirect: 'error', signal: AbortSignal.timeout(pause),
    });
    if (response.status === 401 || response.status === 403) {
      location.reload(); // the session has ended
      return;
    }
    if (!response.ok) throw new Error(String(response.status));
    const next = new DOMParser().parseFromString(await response.text(), 'text/html');
    for (const id of ['state', 'budgets']) {
      document.getElementById(id).replaceWith(document.adoptNode(next.getElementById(id)));
    }
  } catch {
    state.textContent = 'The gateway does not answer. The numbers are old.';
    state.classList.add('stale');
  }
  setTimeout(update, pause);
}

setTimeout(update, pause);
