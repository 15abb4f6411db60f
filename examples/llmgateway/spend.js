// SPDX-License-Identifier: Apache-2.0

// The server writes the page. Every two seconds this script takes the budgets from a
// new one.

const every = 2000;
const limit = 10000;

// fresh returns the main element of a new page.
async function fresh() {
  const response = await fetch('/spend', { headers: { Accept: 'text/html' }, cache: 'no-store', redirect: 'error', signal: AbortSignal.timeout(limit) });
  if (response.status === 401) throw new Error('Your session has ended. Load the page again to sign in.');
  if (response.status === 403) throw new Error('You may no longer see the spend of this tenant.');
  if (!response.ok) throw new Error('The budgets cannot be read now.');
  const main = new DOMParser().parseFromString(await response.text(), 'text/html').querySelector('main');
  if (!main) throw new Error('The server sent an unexpected response.');
  return document.adoptNode(main);
}

// show shows the problem, or that there is none. Numbers that are not current are pale.
function show(problem) {
  document.body.classList.toggle('stale', problem !== '');
  const element = document.getElementById('problem');
  if (element.textContent !== problem) element.textContent = problem;
  element.hidden = problem === '';
}

async function update() {
  try {
    const main = await fresh();
    document.querySelector('main').replaceWith(main);
    document.getElementById('when').textContent = main.dataset.time;
    show('');
  } catch (error) {
    show(error.name === 'Error' ? error.message : 'The server does not answer. These are the last numbers.');
  }
  setTimeout(update, every);
}

setTimeout(update, every);
