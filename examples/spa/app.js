// SPDX-License-Identifier: Apache-2.0

// The page is on one origin and the backend on another origin of the same site.
// The script holds no token: the browser sends a cookie that no script can read.

const $ = (id) => document.getElementById(id);
const backend = document.querySelector('meta[name=backend]').content;
const areas = ['account', 'signed-in', 'signed-out', 'problem'];
let user = ''; // whom the page shows
let typed = false; // whether the note has text that is not saved
let ended = false; // whether the session has ended with such text

// The values of the parameter problem, which the backend sets.
const problems = {
  refused: 'The sign-in was refused. You can try again.',
  incomplete: 'This sign-in could not be completed. Please start again.',
  unavailable: 'That is not possible at the moment. Please try again.',
};

// The claims of the profile that are shown, with their labels.
const labels = { name: 'Name', email: 'Email', sub: 'Account' };

// show makes one state of the page visible and deletes the data of the user.
function show(...visible) {
  for (const id of areas) $(id).hidden = !visible.includes(id);
  if (visible.includes('signed-in')) return;
  user = '';
  typed = ended = false;
  $('who').textContent = $('note').value = $('saved').textContent = $('upstream-result').textContent = '';
  $('upstream-result').hidden = true;
}

function complain(text) {
  $('problem').textContent = text;
  $('problem').hidden = false;
}

class SignedOut extends Error {}
class OtherUser extends Error {}

// call returns the JSON response of the backend. 401 means that the session has
// ended. The request says which user the page shows: 409 means that another one has
// signed in since.
async function call(path, options = {}, page = user) {
  const headers = { Accept: 'application/json', ...(page && { 'Session-User': page }), ...options.headers };
  const response = await fetch(backend + path, { ...options, credentials: 'include', cache: 'no-store', headers });
  if (response.status === 401) throw new SignedOut();
  const answer = await response.json().catch(() => ({}));
  if (response.status === 409) throw new OtherUser();
  if (page && page !== user) throw user ? new OtherUser() : new SignedOut(); // the page has changed meanwhile
  if (!response.ok) throw new Error(answer.error_description || 'The server sent an unexpected response.');
  return answer;
}

// attempt runs an action of the user and shows its error.
async function attempt(action) {
  $('problem').hidden = true;
  try {
    await action();
  } catch (error) {
    if (error instanceof SignedOut) {
      await refresh();
      if (typed && $('account').hidden) return; // see keepText
      complain('Please sign in again.');
      if (!$('signed-in').hidden) $('problem').append(' ', Object.assign($('signin').cloneNode(true), { id: '', className: '' }));
    } else if (error instanceof OtherUser) {
      await refresh();
      complain('Another user has signed in with this browser. Nothing was saved.');
    } else {
      complain(error instanceof TypeError ? 'The server cannot be reached.' : error.message);
    }
  }
}

// keepText shows what the user has typed, and nothing else, after the session has
// ended. The text waits in this tab for the same user; a logout deletes it.
function keepText() {
  ended = true;
  keepDraft();
  $('account').hidden = true;
  $('who').textContent = $('upstream-result').textContent = '';
  $('upstream-result').hidden = true;
  const link = Object.assign(document.createElement('a'), { href: `${backend}/login`, textContent: 'Sign in' });
  $('problem').replaceChildren('Your session has ended. Your text is kept in this tab until you sign in again. ', link);
  $('problem').hidden = false;
}

// keepDraft keeps the text over a login in this tab. Nothing else has it: not the
// address, and not the server.
function keepDraft() {
  sessionStorage.setItem('draft', JSON.stringify({ user, text: $('note').value }));
}

// takeDraft returns the kept text if it belongs to the user, and deletes it in any case.
function takeDraft() {
  const draft = JSON.parse(sessionStorage.getItem('draft') ?? '{}');
  sessionStorage.removeItem('draft');
  return draft.user === user ? draft.text : undefined;
}

// refresh shows the current user, and keeps text that this user has not saved.
async function refresh() {
  try {
    const person = await call('/api/me', {}, '');
    if (person.user !== user) show();
    user = person.user;
    ended = false;
    $('who').textContent = person.name || person.email || person.subject;
    $('who').title = `${person.subject} at ${person.issuer}`;
    show('account', 'signed-in');
    const { note } = await call('/api/note');
    const draft = takeDraft();
    if (!typed) $('note').value = draft ?? note;
    if (draft !== undefined && draft !== note) {
      typed = true;
      $('saved').textContent = 'This text is not saved yet';
    }
  } catch (error) {
    if (error instanceof OtherUser) return refresh(); // has signed in since the first call
    if (typed && error instanceof SignedOut) return keepText();
    if (typed) return complain('The server is unavailable at the moment. Please try again.');
    show(error instanceof SignedOut ? 'signed-out' : 'problem');
    if (!(error instanceof SignedOut)) complain('The server is unavailable at the moment. Please try again.');
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
      method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify({ note: $('note').value, user }),
    });
    typed = false;
    $('saved').textContent = 'Saved';
  });
});

$('note').addEventListener('input', () => {
  typed = true;
  $('saved').textContent = '';
  if (ended) keepDraft();
});

// A user who signs out leaves nothing in the tab.
const logout = document.querySelector('form[action$="/logout"]');
logout.addEventListener('submit', () => {
  logout.elements.session_user.value = user; // 409 if another user has signed in since
  sessionStorage.clear();
});

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

// The back button must not show the data of a user who has signed out.
addEventListener('pagehide', () => show());
addEventListener('pageshow', refresh);
// Another tab may have signed out, or signed in another user.
document.addEventListener('visibilitychange', () => {
  if (document.visibilityState === 'visible') refresh();
});
