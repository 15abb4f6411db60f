// SPDX-License-Identifier: Apache-2.0

// The page is on one origin and its back end on another one of the same site. The
// script holds no token: the browser sends a cookie that no script can read.

const $ = (id) => document.getElementById(id);
const backend = document.querySelector('meta[name=backend]').content;
const areas = ['account', 'signed-in', 'signed-out', 'problem'];

// What the back end has to say when it sends a person back, and no more.
const problems = {
  refused: 'The sign-in was refused. You can try again.',
  incomplete: 'This sign-in could not be completed. Please start again.',
  unavailable: 'That is not possible at the moment. Please try again.',
};

// What of the profile is shown, and how it is called.
const labels = { name: 'Name', email: 'Email', sub: 'Account' };

// show makes one state of the page visible, and forgets what was somebody's.
function show(...visible) {
  for (const id of areas) $(id).hidden = !visible.includes(id);
  if (visible.includes('signed-in')) return;
  $('who').textContent = $('note').value = $('saved').textContent = $('upstream-result').textContent = '';
  $('upstream-result').hidden = true;
}

function complain(text) {
  $('problem').textContent = text;
  $('problem').hidden = false;
}

class SignedOut extends Error {}

// call returns what the back end answers as JSON. An answer with 401 says that
// nobody is signed in any more.
async function call(path, options = {}) {
  const response = await fetch(backend + path, {
    ...options, credentials: 'include', cache: 'no-store', headers: { Accept: 'application/json', ...options.headers },
  });
  if (response.status === 401) throw new SignedOut();
  const answer = await response.json().catch(() => ({}));
  if (!response.ok) throw new Error(answer.error_description || 'The server does not answer as it should.');
  return answer;
}

// attempt does something that a person has asked for, and says what went wrong.
async function attempt(action) {
  $('problem').hidden = true;
  try {
    await action();
  } catch (error) {
    if (error instanceof SignedOut) {
      await refresh();
      complain('Please sign in again.');
      if (!$('signed-in').hidden) $('problem').append(' ', Object.assign($('signin').cloneNode(true), { id: '', className: '' }));
    } else {
      complain(error instanceof TypeError ? 'The server cannot be reached.' : error.message);
    }
  }
}

// refresh shows who is signed in now.
async function refresh() {
  try {
    const person = await call('/api/me');
    $('who').textContent = person.name || person.email || person.subject;
    $('who').title = `${person.subject} at ${person.issuer}`;
    show('account', 'signed-in');
    $('note').value = (await call('/api/note')).note;
  } catch (error) {
    show(error instanceof SignedOut ? 'signed-out' : 'problem');
    if (!(error instanceof SignedOut)) complain('Who is signed in cannot be told at the moment. Please try again.');
  }
  const problem = problems[new URLSearchParams(location.search).get('problem')];
  history.replaceState(null, '', '/');
  if (problem) complain(problem);
}

$('note-form').addEventListener('submit', (event) => {
  event.preventDefault();
  attempt(async () => {
    $('saved').textContent = '';
    await call('/api/note', {
      method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify({ note: $('note').value }),
    });
    $('saved').textContent = 'Saved';
  });
});

$('note').addEventListener('input', () => { $('saved').textContent = ''; });

$('upstream').addEventListener('click', () => attempt(async () => {
  $('upstream').disabled = true;
  try {
    const profile = await call('/api/upstream');
    $('upstream-result').replaceChildren(...Object.keys(labels).filter((name) => profile[name]).flatMap((name) => [
      Object.assign(document.createElement('dt'), { textContent: labels[name] }),
      Object.assign(document.createElement('dd'), { textContent: profile[name] }),
    ]));
    $('upstream-result').hidden = false;
  } finally {
    $('upstream').disabled = false;
  }
}));

// The back button shows a page as it was. It must not show what was somebody's.
addEventListener('pagehide', () => show());
addEventListener('pageshow', refresh);
