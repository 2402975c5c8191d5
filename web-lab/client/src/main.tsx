/** Where the page starts. */
import { render } from 'preact';
import './styles/fonts.css';
import './styles/tokens.css';
import './styles/base.css';
import './styles/list.css';
import './styles/chapter.css';
import './styles/lesson.css';
import './styles/exercise.css';
import './styles/terminal.css';
import { App } from './app.js';
import { giveStylesTheNonce } from './nonce.js';
import { startRouter } from './router.js';
import { startTheme } from './theme.js';

giveStylesTheNonce();
startTheme();
startRouter();
const root = document.getElementById('app');
if (root) {
  root.replaceChildren();
  render(<App />, root);
}
