/** The page's icons: strokes of 1.75 in a box of 20, coloured as the text beside them. They say nothing by themselves. */
const PATHS = {
  scales: 'M3.500 7h13M10 4v3M5 7.500l-2 5a2.300 2.300 0 0 0 4 0zM15 7.500l-2 5a2.300 2.300 0 0 0 4 0zM7 16.500h6',
  check: 'M4.500 10.500l3.500 3.500 7.500-8',
  sun: 'M10 6.500a3.500 3.500 0 1 0 0 7 3.500 3.500 0 1 0 0-7zM10 2.500v1M10 16.500v1M2.500 10h1M16.500 10h1M4.700 4.700l.7.7M14.600 14.600l.7.7M4.700 15.300l.7-.7M14.600 5.400l.7-.7',
  moon: 'M16 11.800A6.500 6.500 0 0 1 8.200 4a6.500 6.500 0 1 0 7.800 7.800z',
  contrast: 'M10 3.500a6.500 6.500 0 1 0 0 13 6.500 6.500 0 1 0 0-13zM10 3.500v13M12 5v10M14 6.500v7',
  keyboard: 'M3 6h14v8H3zM6 9h.01M9 9h.01M12 9h.01M14.500 9h.01M7 11.500h6',
  plus: 'M10 4.500v11M4.500 10h11',
  close: 'M5.500 5.500l9 9M14.500 5.500l-9 9',
  play: 'M7 4.500l8 5.500-8 5.500z',
  reset: 'M15.500 8A6 6 0 1 0 16 11.500M16 4.500V8h-3.500',
  bulb: 'M7.500 13c-1.500-1-2.500-2.400-2.500-4.200a5 5 0 0 1 10 0c0 1.800-1 3.200-2.500 4.200zM8 15.500h4M9 17.500h2',
  eye: 'M2.500 10S5 5 10 5s7.500 5 7.500 5-2.500 5-7.500 5-7.500-5-7.500-5zM10 8a2 2 0 1 0 0 4 2 2 0 1 0 0-4z',
  alert: 'M10 3.500l7 12.500H3zM10 8.500v3.500M10 14h.01',
  book: 'M10 5.500C8.500 4.500 6 4 3.500 4.500v10.500c2.500-.5 5 0 6.500 1 1.500-1 4-1.500 6.500-1V4.500C14 4 11.500 4.500 10 5.500zM10 5.500V16',
  terminal: 'M3 4.500h14v11H3zM6 8l2.500 2L6 12M10.500 12.500H14',
  next: 'M4 10h12M11 5l5 5-5 5',
  previous: 'M16 10H4M9 5l-5 5 5 5',
} as const;

export function Icon({ name }: { name: keyof typeof PATHS }) {
  return (
    <svg class="icon" viewBox="0 0 20 20" aria-hidden="true" focusable="false">
      <path d={PATHS[name]} />
    </svg>
  );
}
