// SPDX-License-Identifier: Apache-2.0

// The page holds no token. It asks the server for the user each time it is shown.

const $ = (id) => document.getElementById(id);
const base = document.querySelector('meta[name=base]').content; // the path of the application, '' for the root
const areas = ['account', 'signed-in', 'signed-out', 'problem'];
let user = ''; // whom the page shows
let typed = false; // whether the note has text that is not saved
let ended = false; // whether the session has ended with such text

// show makes one state of the page visible and deletes the data of the user.
function show(...visible) {
  for (const id of areas) $(id).hidden = !visible.includes(id);
  if (visible.includes('signed-in')) return;
  user = '';
  typed = ended = false;
  $('who').textContent = $('note').value = $('note-user').value = $('saved').textContent = $('upstream-result').textContent = '';
  $('upstream-result').hidden = true;
  $('sessions').replaceChildren();
}

function complain(text) {
  $('problem').textContent = text;
  $('problem').hidden = false;
}

class SignedOut extends Error {}
class OtherUser extends Error {}

// call returns the JSON response of the server. 401 means that the session has
// ended. The request says which user the page shows: 409 means that another one has
// signed in since.
async function call(path, options = {}, page = user) {
  const headers = { Accept: 'application/json', ...(page && { 'Session-User': page }), ...options.headers };
  const response = await fetch(base + path, { ...options, cache: 'no-store', headers });
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
      await refresh('Please sign in again.');
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
  $('sessions').replaceChildren();
  $('problem').replaceChildren('Your session has ended. Your text is kept in this tab until you sign in again. ', loginLink());
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

function loginLink() {
  return Object.assign(document.createElement('a'), { href: `${base}/login?return_to=${encodeURIComponent(`${base}/`)}`, textContent: 'Sign in' });
}

// refresh shows the current user, and keeps text that this user has not saved.
async function refresh(otherwise = '') {
  try {
    const person = await call('/api/me', {}, '');
    if (person.user !== user) show();
    $('note-user').value = user = person.user;
    ended = false;
    $('who').textContent = person.name || person.email || person.subject;
    $('who').title = `${person.subject} at ${person.issuer}`;
    show('account', 'signed-in');
    if (person.notice) $('saved').textContent = person.notice;
    if (otherwise) return signAgain(otherwise);
    const [{ note }] = await Promise.all([call('/api/note'), listSessions()]);
    const draft = takeDraft();
    if (!typed) $('note').value = draft ?? note;
    if (draft === undefined || draft === note) return;
    typed = true;
    $('saved').textContent = 'This text is not saved yet';
  } catch (error) {
    if (error instanceof OtherUser) return refresh(); // has signed in since the first call
    if (typed && error instanceof SignedOut) return keepText();
    if (typed) return complain('The server is unavailable at the moment. Please try again.');
    show(error instanceof SignedOut ? 'signed-out' : 'problem');
    if (!(error instanceof SignedOut)) complain('The server is unavailable at the moment. Please try again.');
  }
}

// signAgain shows a login link: the session is valid, but not its tokens.
function signAgain(text) {
  $('problem').replaceChildren(`${text} `, loginLink());
  $('problem').hidden = false;
}

async function listSessions() {
  const { sessions } = await call('/api/sessions');
  $('sessions').replaceChildren(...sessions.map(entry));
}

function entry(session) {
  const when = (time) => new Date(time).toLocaleString([], { month: 'short', day: 'numeric', hour: 'numeric', minute: '2-digit' });
  const make = (name, properties, ...children) => {
    const element = Object.assign(document.createElement(name), properties);
    element.append(...children);
    return element;
  };
  const item = make('li', {}, make('div', {},
    make('strong', { textContent: session.label }),
    make('span', { className: 'soft', textContent: `Since ${when(session.created)}` }),
    make('span', { className: 'soft', textContent: `Last seen ${when(session.last_seen)}` })));
  item.dataset.id = session.id;
  if (session.current) {
    item.append(make('span', { className: 'pill', textContent: 'This browser' }));
  } else {
    const end = make('button', { className: 'no', textContent: 'End' });
    end.setAttribute('aria-label', `End the session ${session.label}`);
    end.addEventListener('click', () => attempt(async () => {
      // 404: it has ended already.
      await call(`/api/sessions/${session.id}/end`, { method: 'POST' }).catch(() => {});
      await listSessions();
    }));
    item.append(end);
  }
  return item;
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
for (const form of document.querySelectorAll('form[action$="/logout"]')) form.addEventListener('submit', () => {
  form.elements.session_user.value = user; // 409 if another user has signed in since
  sessionStorage.clear();
});

$('upstream').addEventListener('click', () => attempt(async () => {
  $('upstream').disabled = true;
  try {
    const profile = await call('/api/upstream');
    $('upstream-result').textContent = JSON.stringify(profile, null, 2);
    $('upstream-result').hidden = false;
  } finally {
    $('upstream').disabled = false;
  }
}));

// The back button must not show the data of a user who has signed out.
addEventListener('pagehide', () => show());
addEventListener('pageshow', () => refresh());
// Another tab may have signed out, or signed in another user.
document.addEventListener('visibilitychange', () => {
  if (document.visibilityState === 'visible') refresh();
});
